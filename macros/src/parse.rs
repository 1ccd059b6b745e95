//! What an attribute says and what it stands on. Every refusal points at the token that caused it.

mod argument;
mod function;
mod size;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Path, Result, Token};

use self::argument::Argument;
pub use self::function::{Body, Function, Work};

type Arguments = Punctuated<Argument, Token![,]>;

/// The arguments of `#[memory_limit]`.
pub struct LimitArgs {
    pub limit_bytes: u64,
    pub on_exceed: OnExceed,
    pub cleanup_on_exceed: bool,
    pub site: SiteArgs,
}

pub enum OnExceed {
    Warn,
    Error,
    Panic,
    Shadow,
}

/// The arguments of `#[periodic_cleanup]`.
pub struct PeriodicArgs {
    pub interval_calls: u32,
    pub site: SiteArgs,
}

/// What both attributes take: the name under which the function is reported, and where the library
/// is.
#[derive(Default)]
pub struct SiteArgs {
    pub name: Option<String>,
    library: Option<Path>,
}

impl Parse for LimitArgs {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut limit_bytes = None;
        let mut on_exceed = None;
        let mut cleanup = None;
        let mut site = SiteArgs::default();

        for argument in Arguments::parse_terminated(input)? {
            match argument.name().as_str() {
                "" | "max_mb" => argument.fill(&mut limit_bytes, argument.mebibytes()?)?,
                "max" => argument.fill(&mut limit_bytes, argument.size()?)?,
                "on_exceed" => argument.fill(&mut on_exceed, OnExceed::read(&argument)?)?,
                "cleanup_on_exceed" => argument.fill(&mut cleanup, argument.flag()?)?,
                _ => site.read(
                    &argument,
                    "`max_mb`, `max`, `on_exceed`, `cleanup_on_exceed`",
                )?,
            }
        }

        Ok(Self {
            limit_bytes: limit_bytes.ok_or_else(|| {
                missing(
                    "the limit is missing: give one of `100` (MiB), `max_mb = 100` or \
                     `max = \"64MiB\"`",
                )
            })?,
            on_exceed: on_exceed.unwrap_or(OnExceed::Warn),
            cleanup_on_exceed: cleanup.unwrap_or(true),
            site,
        })
    }
}

impl Parse for PeriodicArgs {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut interval_calls = None;
        let mut site = SiteArgs::default();

        for argument in Arguments::parse_terminated(input)? {
            match argument.name().as_str() {
                "" | "interval_calls" => argument.fill(&mut interval_calls, argument.count()?)?,
                _ => site.read(&argument, "`interval_calls`")?,
            }
        }

        Ok(Self {
            interval_calls: interval_calls.ok_or_else(|| {
                missing(
                    "the interval is missing: give one of `100` (calls) or `interval_calls = 100`",
                )
            })?,
            site,
        })
    }
}

impl OnExceed {
    fn read(argument: &Argument) -> Result<Self> {
        let expected = "\"warn\", \"error\", \"panic\" or \"shadow\"";
        match argument.text(expected)?.value().as_str() {
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            "panic" => Ok(Self::Panic),
            "shadow" => Ok(Self::Shadow),
            _ => Err(argument.expected(expected)),
        }
    }
}

impl SiteArgs {
    /// The one module of the library that expansions use, as the function sees it.
    pub fn private(&self) -> TokenStream {
        if let Some(library) = &self.library {
            quote!(#library::__private)
        } else {
            quote!(::plimsoll::__private)
        }
    }

    /// Takes an argument that both attributes know; `others` are those that only the caller knows.
    fn read(&mut self, argument: &Argument, others: &str) -> Result<()> {
        match argument.name().as_str() {
            "name" => argument.fill(&mut self.name, argument.text("a name in quotes")?.value()),
            "crate" => argument.fill(&mut self.library, argument.path()?),
            unknown => Err(argument.error(format_args!(
                "unknown argument `{unknown}`, known are {others}, `name` and `crate`"
            ))),
        }
    }
}

/// An error that points at the attribute as a whole.
fn missing(message: &str) -> Error {
    Error::new(Span::call_site(), message)
}
