//! Files of recordings: plain or gzip, one JSON value a line or one in the file. Read as a stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The recordings of a path: the file itself, or all files below a folder in the order of their names.
pub(super) fn files(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let unreadable = |error: std::io::Error| format!("{}: {}", path.display(), reason(&error));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort_unstable();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if entry.is_dir() || plain.ends_with(".jsonl") || plain.ends_with(".json") {
            files(&entry, found)?;
        }
    }
    Ok(())
}

/// Hands the text of every JSON value of a file to `each`, with its place. The error names file, line and reason.
pub(super) fn values(path: &Path, each: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
    let mut reader =
        open(path).map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        let at = |what: String| format!("{}: line {number}: {what}", path.display());
        let length = reader.read_until(b'\n', &mut line).map_err(|error| at(reason(&error)))?;
        if length == 0 {
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<&RawValue>(&line) {
            Ok(value) => each(&format!("line {number}"), value.get()),
            Err(error) if error.is_eof() && number == 1 => {
                // A document over several lines.
                reader.read_to_end(&mut line).map_err(|error| at(reason(&error)))?;
                let value: &RawValue = serde_json::from_slice(&line).map_err(|error| {
                    format!("{}: line {}: {error}", path.display(), error.line())
                })?;
                each("line 1", value.get());
                return Ok(());
            }
            Err(error) => return Err(at(format!("column {}: {error}", error.column()))),
        }
    }
}

/// The recorded outcome in `NAME.result.json[.gz]` beside `NAME.json[.gz]`.
pub(super) fn result_beside(path: &Path) -> Result<Option<Value>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, ending) = match name.split_once(".json") {
        Some((stem, rest)) => (stem, format!(".json{rest}")),
        None => return Ok(None),
    };
    let beside = path.with_file_name(format!("{stem}.result{ending}"));
    if !beside.is_file() {
        return Ok(None);
    }
    let mut result = None;
    values(&beside, &mut |_, text| result = Some(serde_json::from_str(text)))?;
    let unreadable = |error| format!("{}: {error}", beside.display());
    result.transpose().map_err(unreadable)
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        let decoder = flate2::bufread::MultiGzDecoder::new(file);
        return Ok(Box::new(BufReader::with_capacity(1 << 16, decoder)));
    }
    Ok(Box::new(file))
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::UnexpectedEof => "the gzip stream is cut off".to_owned(),
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            format!("the gzip stream is damaged ({error})")
        }
        _ => error.to_string(),
    }
}
