//! The attributes of plimsoll.

mod expand;
mod parse;

use proc_macro::TokenStream;
use syn::parse::{ParseStream, Parser};

use self::parse::Function;

#[proc_macro_attribute]
pub fn memory_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    expanded(item.clone(), || {
        let args = syn::parse(args)?;
        expand::memory_limit(&args, function("memory_limit", item)?)
    })
}

#[proc_macro_attribute]
pub fn periodic_cleanup(args: TokenStream, item: TokenStream) -> TokenStream {
    expanded(item.clone(), || {
        let args = syn::parse(args)?;
        Ok(expand::periodic_cleanup(
            &args,
            function("periodic_cleanup", item)?,
        ))
    })
}

/// The expansion, or the error with the item as it was: one mistake should not become a "cannot find function" at
/// every caller.
fn expanded(
    item: TokenStream,
    expand: impl FnOnce() -> syn::Result<proc_macro2::TokenStream>,
) -> TokenStream {
    match expand() {
        Ok(expansion) => expansion.into(),
        Err(error) => {
            let mut tokens = TokenStream::from(error.into_compile_error());
            tokens.extend(item);
            tokens
        }
    }
}

fn function(attribute: &str, item: TokenStream) -> syn::Result<Function> {
    (|input: ParseStream| Function::parse(attribute, input)).parse(item)
}
