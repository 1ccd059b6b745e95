//! The value in the middle.

/// The median, or the higher of the two in the middle.
///
/// # Panics
/// When there are no values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
