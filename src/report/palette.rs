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

/// Policies side by side, by position: the first is what the others are compared with.
pub const POLICIES: [Rgb; 6] =
    [BLUE, Rgb(0xE6, 0x9F, 0x00), GREEN, PURPLE, SKY, Rgb(0x6B, 0x42, 0x26)];

/// Cividis from dark blue to yellow, readable with every kind of colour vision and in grey: `share` from 0 to 1.
pub fn cividis(share: f64) -> Rgb {
    const ANCHORS: [Rgb; 9] = [
        Rgb(0x00, 0x22, 0x4E),
        Rgb(0x12, 0x35, 0x70),
        Rgb(0x3B, 0x49, 0x6C),
        Rgb(0x57, 0x5D, 0x6D),
        Rgb(0x70, 0x71, 0x73),
        Rgb(0x8A, 0x86, 0x78),
        Rgb(0xA5, 0x9C, 0x74),
        Rgb(0xC3, 0xB3, 0x69),
        Rgb(0xFE, 0xE8, 0x38),
    ];
    let place = share.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f64;
    let below = (libm::floor(place) as usize).min(ANCHORS.len() - 2);
    let (from, to, part) = (ANCHORS[below], ANCHORS[below + 1], place - below as f64);
    let mix = |a: u8, b: u8| libm::round(f64::from(a) + part * (f64::from(b) - f64::from(a))) as u8;
    Rgb(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
