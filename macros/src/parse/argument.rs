//! One argument of an attribute: `100` or `max_mb = 100`, and the values it may hold.

use std::fmt::Display;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Result, Token};

use super::size::{self, SizeError};

pub struct Argument {
    name: Option<Ident>,
    value: Expr,
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> Result<Self> {
        // `parse_any`, because `crate` is a keyword.
        let named = input.peek(Ident::peek_any) && input.peek2(Token![=]);
        let name = if named {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            Some(name)
        } else {
            None
        };
        Ok(Self {
            name,
            value: input.parse()?,
        })
    }
}

impl Argument {
    /// What stands before the `=`; empty for a positional argument.
    pub fn name(&self) -> String {
        self.name.as_ref().map(Ident::to_string).unwrap_or_default()
    }

    /// Puts the argument's value into its slot, which other forms of the argument may share.
    pub fn fill<T>(&self, slot: &mut Option<T>, value: T) -> Result<()> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.error("this argument, or another form of it, is already given")),
        }
    }

    /// An error that points at the name, or at the value of a positional argument.
    pub fn error(&self, message: impl Display) -> Error {
        match &self.name {
            Some(name) => Error::new_spanned(name, message),
            None => Error::new_spanned(&self.value, message),
        }
    }

    /// A limit in MiB, as bytes.
    pub fn mebibytes(&self) -> Result<u64> {
        let bytes = match self.literal() {
            Some(Lit::Int(mib)) if mib.suffix().is_empty() => size::mebibytes(mib.base10_digits()),
            Some(Lit::Float(mib)) if mib.suffix().is_empty() => {
                size::mebibytes(mib.base10_digits())
            }
            _ => {
                return Err(self.expected(
                    "a number of MiB greater than 0, or `max = \"64MiB\"` for other units",
                ));
            }
        };
        bytes.map_err(|error| self.invalid(&error))
    }

    /// A limit as text with a unit, as bytes.
    pub fn size(&self) -> Result<u64> {
        let text = self.text("a size in quotes, such as \"64MiB\"")?;
        size::bytes(&text.value()).map_err(|error| self.invalid(&error))
    }

    /// A number of calls.
    pub fn count(&self) -> Result<u32> {
        let count = match self.literal() {
            Some(Lit::Int(count)) if count.suffix().is_empty() => count.base10_parse().ok(),
            _ => None,
        };
        count
            .filter(|&count| count > 0)
            .ok_or_else(|| self.expected("a number of calls from 1 to 4294967295"))
    }

    pub fn flag(&self) -> Result<bool> {
        match self.literal() {
            Some(Lit::Bool(flag)) => Ok(flag.value),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    /// A path in quotes.
    pub fn path(&self) -> Result<Path> {
        let expected = "a path in quotes, such as \"my_crate::plimsoll\"";
        let text = self.text(expected)?;
        text.parse_with(Path::parse_mod_style)
            .map_err(|_| self.expected(expected))
    }

    pub fn text(&self, expected: &str) -> Result<&LitStr> {
        match self.literal() {
            Some(Lit::Str(text)) => Ok(text),
            _ => Err(self.expected(expected)),
        }
    }

    /// An error about the value: not what belongs there.
    pub fn expected(&self, expected: &str) -> Error {
        Error::new_spanned(
            &self.value,
            format_args!("expected {expected}, found `{}`", self.written()),
        )
    }

    /// An error about the value: no size.
    fn invalid(&self, error: &SizeError) -> Error {
        Error::new_spanned(
            &self.value,
            format_args!("invalid limit `{}`: {error}", self.written()),
        )
    }

    fn written(&self) -> String {
        // Tokens print `-1` as `- 1`.
        self.value.to_token_stream().to_string().replace("- ", "-")
    }

    fn literal(&self) -> Option<&Lit> {
        let mut value = &self.value;
        // A `$limit:literal` of a `macro_rules!` arrives in an invisible group.
        while let Expr::Group(group) = value {
            value = &group.expr;
        }
        match value {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        }
    }
}
