//! [`Wish`]: what a strategy would set if nothing bound it.

/// What a strategy would set if nothing bound it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub to_bytes: u64,
    /// Less than this won't do: at its maximum a person has to know.
    pub pressing: bool,
    /// In words, with figures and units.
    pub reason: String,
}
