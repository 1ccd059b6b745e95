//! The scaler: watches, decides, resizes.
