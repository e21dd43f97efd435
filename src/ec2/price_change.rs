//! Changes of a price as NodeOverlays write them.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1alpha1/nodeoverlay.go`, `pkg/cloudprovider/types.go` (`AdjustedPrice`).

/// The price, in USD per hour, after `change`: `+0.1` and `-0.1` add, `+10%` and `-10%` scale, a number without sign
/// replaces it, the empty text leaves it. Never below 0. Text that is no number changes nothing.
pub fn adjusted(price: f64, change: &str) -> f64 {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let adjusted = match change.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| price * (1.0 + percent / 100.0)),
        None if change.starts_with(['+', '-']) => number(change).map(|amount| price + amount),
        None => number(change),
    };
    adjusted.unwrap_or(price).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_scale_or_replace() {
        for (change, expected) in [
            ("", 1.5),
            ("+0.5", 2.0),
            ("-0.5", 1.0),
            ("+100%", 3.0),
            ("-50%", 0.75),
            ("-150%", 0.0),
            ("-5", 0.0),
            ("0.25", 0.25),
            ("x", 1.5),
        ] {
            assert_eq!(adjusted(1.5, change), expected, "{change:?}");
        }
    }
}
