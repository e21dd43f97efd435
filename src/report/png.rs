//! A run as one PNG: six panels over one time axis, and two distributions below them.
//!
//! The bytes depend on the result and the options alone. The file has no time chunk; Title,
//! Software and `karpsim-provenance` (JSON) are text chunks.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::axis::TimeAxis;
use super::canvas::Canvas;
use super::chart::{self, NODES_TITLE, Scene};
use super::layout::{Layout, plot_span};
use super::{disruption, distribution, frame, header, raster, utilization};
use crate::outcome::{Header, RunResult, Steps};
use crate::units::SimTime;

/// Distance of time ticks at least.
const TICK_ROOM: f64 = 74.0;

/// Size of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PngOptions {
    /// Width in logical pixels, from 1200 to 8000.
    pub width: u32,
    /// Height in logical pixels, from 900 to 8000.
    pub height: u32,
    /// Real pixels per logical pixel: 1, or 2 for fine screens.
    pub scale: u32,
}

impl Default for PngOptions {
    fn default() -> PngOptions {
        PngOptions { width: 1600, height: 1200, scale: 1 }
    }
}

/// Draws a run and returns the bytes of the PNG.
pub fn draw(result: &RunResult, options: &PngOptions) -> Result<Vec<u8>> {
    picture(&result.header, options, |canvas, width, height| panels(canvas, result, width, height))
}

/// A PNG of what `draw` puts on a canvas of the options' width and height in logical pixels.
pub(super) fn picture(
    header: &Header,
    options: &PngOptions,
    draw: impl FnOnce(&mut Canvas, f64, f64) -> Result<()>,
) -> Result<Vec<u8>> {
    let (width, height, scale) = (options.width, options.height, options.scale);
    ensure!(
        (1200..=8000).contains(&width) && (900..=8000).contains(&height),
        "a picture of {width} x {height} pixels: from 1200 x 900 to 8000 x 8000 can be drawn"
    );
    ensure!(matches!(scale, 1 | 2), "a scale of {scale}: 1 and 2 can be drawn");
    let size = (width * scale, height * scale);
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    let mut canvas = Canvas::new(&mut pixels, size, scale)?;
    draw(&mut canvas, f64::from(width), f64::from(height))?;
    drop(canvas);
    encode(&pixels, size, header)
}

/// Draws everything, header to footer.
fn panels(canvas: &mut Canvas, result: &RunResult, width: f64, height: f64) -> Result<()> {
    // A result that was cut short ends where it ends; one without any event, at its horizon.
    let end = match result.end.ms() {
        0 => SimTime::from_ms(result.header.horizon.ms()),
        _ => result.end,
    };
    let (left, right) = plot_span(width);
    let axis = TimeAxis::new(&instants(result, end), end.ms(), left, right);
    let categories = raster::categories(&result.series, end);
    // Whether categories need a key depends on the height of the panel, which depends on the key: a
    // key never gets taller because of the lines that it takes, so that one repetition settles it.
    let without_key = Layout::new(width, height, 0, axis.is_cut());
    let key = chart::key_entries(&categories, result, &without_key);
    let first = (
        left + canvas.text_width(NODES_TITLE, frame::TITLE) + 24.0,
        right - canvas.text_width(&chart::nodes_remark(result, end), frame::TICK) - 24.0,
    );
    let places = frame::key_places(canvas, &key, first, (left, right));
    let key_lines = places.last().map_or(0, |(line, _)| *line);
    let layout = Layout::new(width, height, key_lines, axis.is_cut());
    let start = header::start(&result.header);
    let ticks = axis.ticks(start, TICK_ROOM);
    let tick_places: Vec<f64> = ticks.iter().map(|tick| tick.x).collect();
    let scene = Scene {
        result,
        end,
        axis: &axis,
        ticks: &tick_places,
        categories: &categories,
        layout: &layout,
    };
    header::header(canvas, &scene)?;
    frame::strip(canvas, &axis, &layout.strip)?;
    chart::nodes(canvas, &scene, &key)?;
    chart::rate(canvas, &scene)?;
    chart::total(canvas, &scene)?;
    chart::pods(canvas, &scene)?;
    utilization::utilization(canvas, &scene)?;
    disruption::disruptions(canvas, &scene)?;
    frame::time_labels(canvas, &ticks, &layout.disruptions.plot, start.is_some())?;
    distribution::distributions(canvas, &scene)?;
    header::footer(canvas, &result.header, layout.footer, width)
}

/// All instants at which something drawn changes, ascending. The start and the end of a run are no
/// events.
fn instants(result: &RunResult, end: SimTime) -> Vec<i64> {
    let series = &result.series;
    let of = |steps: &Steps| steps.points().iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let totals = [&series.nodes, &series.cost_rate, &series.pods_running, &series.pods_pending];
    let mut found: Vec<i64> = totals
        .into_iter()
        .flat_map(of)
        .chain(result.ledger.entries.iter().map(|entry| entry.launched_at))
        .chain(result.ledger.entries.iter().filter_map(|e| e.terminating_at))
        .chain(result.disruptions.iter().map(|d| d.at))
        .chain(result.disruptions.iter().filter_map(|d| d.gone_at))
        .filter(|at| *at <= end)
        .map(SimTime::ms)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Compresses the pixels and adds the text chunks.
fn encode(pixels: &[u8], (width, height): (u32, u32), header: &Header) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Default);
    let texts = [
        ("Title", latin(&header.scenario)),
        ("Software", latin(&header.program)),
        ("karpsim-provenance", provenance(header)),
    ];
    for (keyword, text) in texts {
        encoder
            .add_text_chunk(keyword.to_owned(), text)
            .with_context(|| format!("the PNG's text chunk {keyword}"))?;
    }
    let mut writer = encoder.write_header().context("the PNG's header")?;
    writer.write_image_data(pixels).context("the PNG's pixels")?;
    writer.finish().context("the PNG's end")?;
    Ok(bytes)
}

/// What is needed to make the result again, as JSON in ASCII, since text chunks hold Latin-1 alone.
fn provenance(header: &Header) -> String {
    let object = json!({
        "program": header.program,
        "semantics": header.semantics,
        "scenario": header.scenario,
        "policy": header.policy,
        "horizon_s": header.horizon.ms() / 1_000,
        "start_epoch_s": header.start_epoch_s,
        "seed": header.seed,
        "region": header.region,
        "price_basis": header.price_basis,
        "input_digest": header.input_digest,
        "catalogue_digest": header.catalogue_digest,
    });
    let mut ascii = String::new();
    for c in object.to_string().chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// Text for a chunk: characters outside Latin-1 become question marks.
fn latin(text: &str) -> String {
    let plain = |c: char| {
        if u32::from(c) < 256 && c != '\0' { c } else { '?' }
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::units::SimDuration;

    type Texts = Vec<(String, String)>;

    /// The size, the decoded pixels and the text chunks.
    fn decode(bytes: &[u8]) -> Result<(png::OutputInfo, Vec<u8>, Texts)> {
        let mut reader = png::Decoder::new(bytes).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels)?;
        let chunks = &reader.info().uncompressed_latin1_text;
        let texts = chunks.iter().map(|c| (c.keyword.clone(), c.text.clone()));
        Ok((info, pixels, texts.collect()))
    }

    /// FNV-1a.
    fn digest(bytes: &[u8]) -> u64 {
        let start = 0xcbf2_9ce4_8422_2325_u64;
        let step = |hash: u64, b: &u8| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        bytes.iter().fold(start, step)
    }

    /// Draws, checks size and that there is something on it, and keeps the picture below cargo's
    /// folder for temporary files so that people can look at it.
    fn check(file: &str, result: &RunResult, options: &PngOptions) -> Result<Vec<u8>> {
        let bytes = draw(result, options)?;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{file}.png")), &bytes)?;
        let (info, pixels, _) = decode(&bytes)?;
        let (width, height) = (options.width * options.scale, options.height * options.scale);
        assert_eq!((info.width, info.height), (width, height));
        let inked = pixels.chunks(3).filter(|p| p.iter().any(|c| *c < 0x80)).count();
        assert!(inked > 5_000, "{file}: {inked} dark pixels");
        let row = width as usize * 3;
        let margin = 24 * options.scale as usize;
        let white = |bytes: &[u8]| bytes.iter().all(|c| *c == 0xFF);
        assert!(white(&pixels[..margin * row]), "{file}: upper margin");
        assert!(white(&pixels[pixels.len() - margin * row..]), "{file}: lower margin");
        for line in pixels.chunks(row) {
            assert!(white(&line[..3 * margin]), "{file}: left margin");
            assert!(white(&line[row - 3 * margin..]), "{file}: right margin");
        }
        Ok(pixels)
    }

    #[test]
    fn the_workshop_is_drawn_at_both_scales() -> Result<()> {
        let result = samples::workshop();
        check("workshop", &result, &PngOptions::default())?;
        let fine = PngOptions { scale: 2, ..PngOptions::default() };
        check("workshop-2x", &result, &fine)?;
        Ok(())
    }

    #[test]
    fn runs_without_much_to_see_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        let hour = SimDuration::from_minutes(60);
        check("empty", &samples::empty("empty", hour), &options)?;
        check("one-event", &samples::one_event(), &options)?;
        check("unschedulable", &samples::unschedulable(), &options)?;
        check("tiny", &samples::tiny(), &options)?;
        check("no-time", &RunResult::default(), &options).map(|_| ())
    }

    #[test]
    fn runs_with_too_much_to_see_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        check("long-names", &samples::long_names(), &options)?;
        check("month", &samples::busy("30 days", 6, 50_000), &options)?;
        check("many-types", &samples::busy("300 types", 300, 2_000), &options)?;
        let small = PngOptions { width: 1200, height: 900, scale: 1 };
        check("small", &samples::busy("small", 12, 300), &small)?;
        Ok(())
    }

    #[test]
    fn the_picture_is_the_same_every_time() -> Result<()> {
        let result = samples::workshop();
        let first = draw(&result, &PngOptions::default())?;
        assert!(first == draw(&result, &PngOptions::default())?);
        let (_, pixels, texts) = decode(&first)?;
        // A change of this number is a change of what users see: look at the picture before it is
        // renewed.
        assert_eq!(digest(&pixels), 16_027_256_904_561_137_710);
        assert_eq!(texts[0], ("Title".to_owned(), "eks-workshop".to_owned()));
        assert_eq!(texts[1].1, "karpsim 0.1.0");
        assert_eq!(texts[2].0, "karpsim-provenance");
        let provenance: serde_json::Value = serde_json::from_str(&texts[2].1)?;
        assert_eq!(provenance["seed"], 42);
        assert!(!first.windows(4).any(|name| name == b"tIME"));
        Ok(())
    }

    #[test]
    fn text_outside_latin_1_does_not_fail() -> Result<()> {
        let mut result = samples::tiny();
        result.header.scenario = "名前 → \0 ü".to_owned();
        let bytes = draw(&result, &PngOptions::default())?;
        let (_, _, texts) = decode(&bytes)?;
        assert_eq!(texts[0].1, "?? ? ? ü");
        let provenance: serde_json::Value = serde_json::from_str(&texts[2].1)?;
        assert_eq!(provenance["scenario"], "名前 → \0 ü");
        Ok(())
    }

    #[test]
    fn sizes_that_cannot_be_drawn_are_refused() {
        for (width, height, scale) in [(100, 1200, 1), (1600, 9000, 1), (1600, 1200, 3)] {
            let options = PngOptions { width, height, scale };
            assert!(draw(&RunResult::default(), &options).is_err());
        }
    }
}
