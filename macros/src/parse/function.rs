//! The function under an attribute. Its body stays the tokens that the user wrote: nothing in here
//! depends on what they say, and syntax that is newer than our parser is no obstacle.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{
    Abi, Attribute, Error, GenericArgument, PathArguments, Result, ReturnType, Signature, Token,
    Type, TypeParamBound, Visibility, braced, token,
};

pub struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    pub sig: Signature,
    inner_attrs: Vec<Attribute>,
    brace: token::Brace,
    statements: TokenStream,
}

impl Function {
    /// Reads a function that can carry `attribute`, which is only named in errors.
    pub fn parse(attribute: &str, input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if !at_function(input)? {
            return Err(input.error(format_args!("`#[{attribute}]` goes on a function")));
        }
        let sig: Signature = input.parse()?;
        if let Some(constness) = sig.constness {
            let message = format!(
                "`#[{attribute}]` can't go on a `const fn`, which may run inside the compiler"
            );
            return Err(Error::new_spanned(constness, message));
        }
        if input.peek(Token![;]) {
            let message = format!(
                "`#[{attribute}]` needs a body: put it on the functions that implement this one"
            );
            return Err(Error::new_spanned(sig, message));
        }

        let content;
        let brace = braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        Ok(Self {
            attrs,
            vis,
            sig,
            inner_attrs,
            brace,
            statements: content.parse()?,
        })
    }

    /// What makes the body run after the call has returned: `async`, or a future as return type,
    /// which is also what `async_trait` makes of an `async fn`.
    pub fn deferred(&self) -> Option<TokenStream> {
        match (&self.sig.asyncness, &self.sig.output) {
            (Some(asyncness), _) => Some(asyncness.to_token_stream()),
            (None, ReturnType::Type(_, output)) if holds_future(output) => {
                Some(output.to_token_stream())
            }
            _ => None,
        }
    }

    /// The function with a new body, made from its block. The body keeps the span of the braces
    /// that the user wrote, or coverage tools would lose sight of it.
    pub fn with_body(self, body: impl FnOnce(TokenStream) -> TokenStream) -> TokenStream {
        let Self {
            attrs,
            vis,
            sig,
            inner_attrs,
            brace,
            statements,
        } = self;
        let braces = |inside: TokenStream| {
            let mut block = TokenStream::new();
            brace.surround(&mut block, |block| block.extend(inside));
            block
        };
        let body = body(braces(statements));
        let block = braces(quote!(#(#inner_attrs)* #body));
        quote!(#(#attrs)* #vis #sig #block)
    }
}

/// Whether a function's signature comes next. Asked first, because the parser of signatures would
/// greet a struct with "expected `fn`".
fn at_function(input: ParseStream) -> Result<bool> {
    let ahead = input.fork();
    ahead.parse::<Option<Token![const]>>()?;
    ahead.parse::<Option<Token![async]>>()?;
    ahead.parse::<Option<Token![unsafe]>>()?;
    ahead.parse::<Option<Abi>>()?;
    Ok(ahead.peek(Token![fn]))
}

/// Whether a type is, or holds in its arguments, an `impl Future` or a `dyn Future`.
fn holds_future(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(ty) => ty.bounds.iter().any(is_future),
        Type::TraitObject(ty) => ty.bounds.iter().any(is_future),
        Type::Path(ty) => ty
            .path
            .segments
            .iter()
            .any(|segment| match &segment.arguments {
                PathArguments::AngleBracketed(list) => list.args.iter().any(holds_future_argument),
                _ => false,
            }),
        _ => false,
    }
}

fn holds_future_argument(argument: &GenericArgument) -> bool {
    matches!(argument, GenericArgument::Type(ty) if holds_future(ty))
}

fn is_future(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    bound
        .path
        .segments
        .last()
        .is_some_and(|last| last.ident == "Future")
}
