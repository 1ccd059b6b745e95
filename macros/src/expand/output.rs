//! The return type of a function inside its body, where a closure or an async block stands in for the
//! function: what the body returns has to be coerced to it as before.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    AssocType, GenericArgument, Path, PathArguments, ReturnType, Type, TypeParamBound, parse_quote,
};

/// The return type as a body can name it: with a `_` for each `impl Trait`. None where that is not
/// enough, and for `!`; inference then does.
pub fn nameable(output: &ReturnType) -> Option<TokenStream> {
    let ReturnType::Type(_, output) = output else {
        return Some(quote!(()));
    };
    let mut output: Type = parse_quote!(#output);
    infer_impl_trait(&mut output);
    let is_never = matches!(output, Type::Never(_));
    let output = output.into_token_stream();
    (!is_never && !names_impl_trait(output.clone())).then_some(output)
}

/// Tells an async block its output: by a return that is never taken. Unlike one behind a `loop {}`,
/// it needs no lint to be silenced. Errors that refer to it point at the return type.
pub fn hint(output: TokenStream) -> TokenStream {
    let span = output.span().resolved_at(Span::mixed_site());
    let never = Ident::new("never", span);
    let hint = quote_spanned!(span=> return #never;);
    quote! {
        if let ::core::option::Option::Some(#never) = ::core::option::Option::<#output>::None {
            #hint
        }
    }
}

fn infer_impl_trait(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = parse_quote!(_),
        Type::Tuple(ty) => ty.elems.iter_mut().for_each(infer_impl_trait),
        Type::Reference(ty) => infer_impl_trait(&mut ty.elem),
        Type::Path(ty) => infer_arguments(&mut ty.path),
        Type::TraitObject(ty) => {
            for bound in &mut ty.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    infer_arguments(&mut bound.path);
                }
            }
        }
        _ => {}
    }
}

fn infer_arguments(path: &mut Path) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(list) = &mut segment.arguments {
            for argument in &mut list.args {
                if let GenericArgument::Type(ty)
                | GenericArgument::AssocType(AssocType { ty, .. }) = argument
                {
                    infer_impl_trait(ty);
                }
            }
        }
    }
}

fn names_impl_trait(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_impl_trait(group.stream()),
        TokenTree::Ident(ident) => ident == "impl",
        _ => false,
    })
}
