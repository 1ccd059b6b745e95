//! What an attribute adds to its function.
//!
//! The user's block stays a block of its own behind whatever is added. Spliced after a `let`, its
//! leading items would be items after a statement, which lints complain about; and none of our
//! names is ever in scope inside it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Error, Result, ReturnType, Type};

use crate::parse::{Function, LimitArgs, OnExceed, PeriodicArgs, SiteArgs};

pub fn memory_limit(args: &LimitArgs, function: Function) -> Result<TokenStream> {
    if let Some(deferred) = function.deferred() {
        return Err(Error::new_spanned(
            deferred,
            "`#[memory_limit]` on async functions is not supported yet, the limit would end before \
             the work begins: move the part that needs a limit into a sync function and limit that",
        ));
    }

    let private = args.site.private();
    let limit = limit(args, &function.sig.ident);
    match args.on_exceed {
        OnExceed::Warn | OnExceed::Panic => {
            let scope = Ident::new("_plimsoll_scope", Span::mixed_site());
            Ok(function.with_body(|block| {
                quote! {
                    let #scope = #private::enter(#limit);
                    #block
                }
            }))
        }
        OnExceed::Error => {
            let output = closure_output(&function)?;
            Ok(function
                .with_body(|block| quote!(#private::limited(#limit, move || #output #block))))
        }
    }
}

pub fn periodic_cleanup(args: &PeriodicArgs, function: Function) -> TokenStream {
    let private = args.site.private();
    let interval_calls = args.interval_calls;
    let name = site_name(&args.site, &function.sig.ident);
    function.with_body(|block| {
        quote! {
            {
                static PERIODIC: #private::PeriodicCleanup =
                    #private::PeriodicCleanup::every(#interval_calls).named(#name);
                #private::tick(&PERIODIC);
            }
            #block
        }
    })
}

/// The `MemoryLimit` of this function. Its site is a static in the expression's own block, where no
/// two can clash.
fn limit(args: &LimitArgs, function: &Ident) -> TokenStream {
    let private = args.site.private();
    let limit_bytes = args.limit_bytes;
    let on_exceed = match args.on_exceed {
        OnExceed::Warn => quote!(Warn),
        OnExceed::Error => quote!(Error),
        OnExceed::Panic => quote!(Panic),
    };
    let cleanup_on_exceed = args.cleanup_on_exceed;
    let name = site_name(&args.site, function);
    quote! {
        {
            static SITE: #private::Site = #private::Site::new(#name);
            #private::MemoryLimit::bytes(#limit_bytes)
                .on_exceed(#private::OnExceed::#on_exceed)
                .cleanup_on_exceed(#cleanup_on_exceed)
                .at(&SITE)
        }
    }
}

/// The name under which the function is reported: its path, unless it was given one.
fn site_name(site: &SiteArgs, function: &Ident) -> TokenStream {
    if let Some(name) = &site.name {
        name.to_token_stream()
    } else {
        let function = function.unraw().to_string();
        quote!(::core::concat!(::core::module_path!(), "::", #function))
    }
}

/// The return type that the closure around a body is given: the function's own, so that what the
/// body returns is coerced to it. None where it names an `impl Trait`, which a closure can't;
/// inference then does.
fn closure_output(function: &Function) -> Result<Option<TokenStream>> {
    let message = "`on_exceed = \"error\"` needs to return a `Result` whose error implements \
                   `From<LimitExceeded>`";
    match &function.sig.output {
        ReturnType::Default => Err(Error::new_spanned(&function.sig.ident, message)),
        ReturnType::Type(_, output) => match &**output {
            Type::Tuple(unit) if unit.elems.is_empty() => Err(Error::new_spanned(unit, message)),
            output => {
                let output = output.to_token_stream();
                Ok((!names_impl_trait(output.clone())).then(|| quote!(-> #output)))
            }
        },
    }
}

fn names_impl_trait(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_impl_trait(group.stream()),
        TokenTree::Ident(ident) => ident == "impl",
        _ => false,
    })
}
