//! What an attribute adds to its function.
//!
//! The user's block stays a block of its own behind whatever is added. Spliced after a `let`, its
//! leading items would be items after a statement, which lints complain about; and none of our
//! names is ever in scope inside it.

mod output;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Error, Result, ReturnType, Signature, Type};

use crate::parse::{Body, Function, LimitArgs, OnExceed, PeriodicArgs, SiteArgs, Work};

pub fn memory_limit(args: &LimitArgs, function: Function) -> Result<TokenStream> {
    let work = function.work()?;
    let fails = matches!(args.on_exceed, OnExceed::Error);
    if fails {
        refuse_unit(&function.sig)?;
    }

    let private = args.site.private();
    let limit = limit(args, &function.sig.ident);
    let output = output::nameable(&function.sig.output);
    let returns = output.as_ref().map(|output| quote!(-> #output));
    let limited_future = |future: TokenStream| {
        if fails {
            quote!(#private::limit_result_future(#limit, #future))
        } else {
            quote!(#private::limit_future(#limit, #future))
        }
    };
    Ok(function.with_body(|body| match work {
        Work::Body if fails => {
            let block = body.block();
            quote!(#private::limited(#limit, move || #returns #block))
        }
        Work::Body => {
            let scope = Ident::new("_plimsoll_scope", Span::mixed_site());
            let block = body.last_block();
            quote! {
                let #scope = #private::enter(#limit);
                #block
            }
        }
        Work::AsyncBody => {
            let hint = output.map(output::hint);
            let block = body.last_block();
            let block = body.braces(quote!(#hint #block));
            let future = limited_future(quote!(async move #block));
            // Clippy asks this of a block whose output is a future, but not of an `async fn`.
            quote! {
                #![allow(clippy::async_yields_async)]
                #future.await
            }
        }
        Work::Future => limited_future(call(returns, body)),
        Work::BoxedFuture => {
            let future = limited_future(call(returns, body));
            quote!(::std::boxed::Box::pin(#future))
        }
    }))
}

/// What a body evaluates to, also by a `return`. Not by `(move || ..)()`: that closure may be inferred
/// to be an `FnMut`, and then no future could borrow from what it has captured.
fn call(returns: Option<TokenStream>, body: &Body) -> TokenStream {
    let block = body.block();
    quote! {
        ::core::option::Option::unwrap_or_else(
            ::core::option::Option::None,
            move || #returns #block,
        )
    }
}

pub fn periodic_cleanup(args: &PeriodicArgs, function: Function) -> TokenStream {
    let private = args.site.private();
    let interval_calls = args.interval_calls;
    let name = site_name(&args.site, &function.sig.ident);
    function.with_body(|body| {
        let block = body.last_block();
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
        OnExceed::Shadow => quote!(Shadow),
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

/// A function that can't return an error is refused here where its signature says so: at the token.
/// All others are left to the compiler.
fn refuse_unit(sig: &Signature) -> Result<()> {
    let message = "`on_exceed = \"error\"` needs to return a `Result` whose error implements \
                   `From<LimitExceeded>`";
    match &sig.output {
        ReturnType::Default => Err(Error::new_spanned(&sig.ident, message)),
        ReturnType::Type(_, output) => match &**output {
            Type::Tuple(unit) if unit.elems.is_empty() => Err(Error::new_spanned(unit, message)),
            _ => Ok(()),
        },
    }
}
