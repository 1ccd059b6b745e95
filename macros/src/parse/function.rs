//! The function under an attribute. Its body stays the tokens that the user wrote: nothing in here
//! depends on what they say, and syntax that is newer than our parser is no obstacle.

use proc_macro2::{Span, TokenStream};
use quote::quote;
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
    body: Body,
}

/// The statements of a function and the braces around them.
pub struct Body {
    brace: token::Brace,
    statements: TokenStream,
}

/// Where a function does its work, and so where a limit on it has to be.
#[derive(Clone, Copy)]
pub enum Work {
    /// In its body, before it returns.
    Body,
    /// In the future that an `async fn` makes of its body.
    AsyncBody,
    /// In the `impl Future` that it returns.
    Future,
    /// In the `Pin<Box<dyn Future>>` that it returns, as `async_trait` has it.
    BoxedFuture,
}

impl Work {
    /// Of a function that returns this type, which is or holds a future.
    fn of_future(output: &Type) -> Result<Self> {
        if let Type::ImplTrait(_) = output {
            return Ok(Self::Future);
        }
        let boxed = argument_of(output, "Pin").and_then(|pinned| argument_of(pinned, "Box"));
        if boxed.is_some_and(is_future) {
            return Ok(Self::BoxedFuture);
        }
        Err(Error::new_spanned(
            output,
            "`#[memory_limit]` can't reach the future inside this type: make the function an \
             `async fn`, or return an `impl Future` or a `Pin<Box<dyn Future>>`",
        ))
    }
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
            body: Body {
                brace,
                statements: content.parse()?,
            },
        })
    }

    /// Where the work of the function is done. An error where that is out of reach.
    pub fn work(&self) -> Result<Work> {
        if self.sig.asyncness.is_some() {
            return Ok(Work::AsyncBody);
        }
        let ReturnType::Type(_, output) = &self.sig.output else {
            return Ok(Work::Body);
        };
        let mut output = &**output;
        // An `$output:ty` of a `macro_rules!` arrives in an invisible group.
        while let Type::Group(group) = output {
            output = &group.elem;
        }
        if holds_future(output) {
            Work::of_future(output)
        } else {
            Ok(Work::Body)
        }
    }

    /// The function with a new body, made from the one it has.
    pub fn with_body(self, new: impl FnOnce(&Body) -> TokenStream) -> TokenStream {
        let Self {
            attrs,
            vis,
            sig,
            inner_attrs,
            body,
        } = self;
        let new = new(&body);
        let block = body.braces(quote!(#(#inner_attrs)* #new));
        quote!(#(#attrs)* #vis #sig #block)
    }
}

impl Body {
    /// The body as it was, for something that is a function itself.
    pub fn block(&self) -> TokenStream {
        self.braces(self.statements.clone())
    }

    /// The body as the last expression of another block. On one line its braces have to be of the
    /// expansion, or the user would be told that they are unnecessary.
    pub fn last_block(&self) -> TokenStream {
        let span = self.brace.span.join();
        let written = span.unwrap();
        let span = if written.start().line() == written.end().line() {
            span.resolved_at(Span::mixed_site())
        } else {
            span
        };
        braces(&token::Brace(span), self.statements.clone())
    }

    /// Other statements between the braces that the user wrote, or coverage tools would lose sight
    /// of them.
    pub fn braces(&self, statements: TokenStream) -> TokenStream {
        braces(&self.brace, statements)
    }
}

fn braces(brace: &token::Brace, statements: TokenStream) -> TokenStream {
    let mut block = TokenStream::new();
    brace.surround(&mut block, |block| block.extend(statements));
    block
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
    let Type::Path(path) = ty else {
        return is_future(ty);
    };
    let mut segments = path.path.segments.iter();
    segments.any(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(list) => list.args.iter().any(holds_future_argument),
        _ => false,
    })
}

fn holds_future_argument(argument: &GenericArgument) -> bool {
    matches!(argument, GenericArgument::Type(ty) if holds_future(ty))
}

/// Whether a type is an `impl Future` or a `dyn Future`.
fn is_future(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(ty) => ty.bounds.iter().any(names_future),
        Type::TraitObject(ty) => ty.bounds.iter().any(names_future),
        _ => false,
    }
}

fn names_future(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    bound
        .path
        .segments
        .last()
        .is_some_and(|last| last.ident == "Future")
}

/// The `T` of a `path::to::Name<T>`.
fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(ty) = ty else {
        return None;
    };
    let last = ty.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(list) if last.ident == name && list.args.len() == 1 => {
            match list.args.first()? {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            }
        }
        _ => None,
    }
}
