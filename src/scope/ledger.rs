//! stub until the ledger lands
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(u16);
impl Line {
    pub(super) fn from_index(n: u16) -> Self {
        Line(n)
    }
    pub(super) fn index(self) -> u16 {
        self.0
    }
}
pub(super) fn open_line() -> Line {
    Line(1)
}
#[inline]
pub(super) fn record(_line: Line, _peak_bytes: u64) {}
