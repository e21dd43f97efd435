//! Colours with fixed meanings: Okabe and Ito's palette, readable with every kind of colour vision.

/// A colour, opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Paper.
pub const WHITE: Rgb = Rgb(0xFF, 0xFF, 0xFF);
/// Totals, Expired.
pub const BLACK: Rgb = Rgb(0x00, 0x00, 0x00);
/// Running pods, Underutilized.
pub const BLUE: Rgb = Rgb(0x00, 0x72, 0xB2);
/// Pending pods, Interrupted.
pub const VERMILLION: Rgb = Rgb(0xD5, 0x5E, 0x00);
/// Memory.
pub const GREEN: Rgb = Rgb(0x00, 0x9E, 0x73);
/// Empty.
pub const SKY: Rgb = Rgb(0x56, 0xB4, 0xE9);
/// Drifted.
pub const PURPLE: Rgb = Rgb(0xCC, 0x79, 0xA7);
/// Text.
pub const TEXT: Rgb = Rgb(0x33, 0x33, 0x33);
/// Secondary text, axis lines.
pub const SECONDARY: Rgb = Rgb(0x66, 0x66, 0x66);
/// Grid lines.
pub const GRID: Rgb = Rgb(0xD9, 0xD9, 0xD9);
/// What is left over when there are more categories than colours.
pub const OTHER: Rgb = Rgb(0xA6, 0xA6, 0xA6);

/// Categories without a meaning of their own (instance types), by rank. Vermillion is left to
/// pending pods, and the two last are darker than Okabe and Ito's, so that they differ from all
/// others in luminance.
pub const CATEGORIES: [Rgb; 8] = [
    BLUE,
    Rgb(0xE6, 0x9F, 0x00),
    SKY,
    GREEN,
    PURPLE,
    Rgb(0xF0, 0xE4, 0x42),
    Rgb(0x6B, 0x42, 0x26),
    Rgb(0x4B, 0x2E, 0x83),
];
