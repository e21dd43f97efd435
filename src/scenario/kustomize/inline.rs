//! YAML inside of YAML: a patch written as a block scalar keeps the places of the file around it.

use crate::diagnostic::{Diagnostics, Span};
use crate::scenario::yaml::{self, Node};

/// The documents of a text that stands in a scalar. Places lie in the file itself when the scalar is a literal block,
/// else in a text of its own.
pub(super) fn documents(scalar: &Node, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let Some(text) = scalar.text() else {
        return Vec::new();
    };
    let span = scalar.span;
    let whole = diagnostics.sources.get(span.source).text.clone();
    if let Some(masked) = masked(&whole, span, text) {
        return yaml::parse_text(&masked, span.source, diagnostics);
    }
    let position = diagnostics.sources.position(span.source, span.start);
    let file = diagnostics.sources.get(span.source).name.clone();
    let name = format!("{file} (patch in line {})", position.line);
    let source = diagnostics.sources.add(&name, text.to_owned());
    yaml::parse(source, diagnostics)
}

/// The whole file with blanks in place of everything but the lines of a literal block, so that every byte of the block
/// stays where it is. `None` when the text does not stand in the file line by line.
fn masked(whole: &str, span: Span, text: &str) -> Option<String> {
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let start = whole.get(..span.start)?.matches('\n').count();
    let wanted: Vec<&str> = text.lines().collect();
    let first = (start..start + 3).find(|first| stands_at(&lines, *first, &wanted))?;
    let mut masked = String::with_capacity(whole.len());
    for (i, line) in lines.iter().enumerate() {
        if (first..first + wanted.len()).contains(&i) {
            masked.push_str(line);
        } else {
            masked.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    Some(masked)
}

/// True iff the lines from `first` on are those of the block, all indented by the same blanks.
fn stands_at(lines: &[&str], first: usize, wanted: &[&str]) -> bool {
    let written = |i: usize| lines.get(first + i).map(|line| line.trim_end_matches(['\n', '\r']));
    let Some(indent) = wanted.first().and_then(|top| written(0)?.strip_suffix(top)) else {
        return false;
    };
    indent.bytes().all(|byte| byte == b' ')
        && wanted.iter().enumerate().all(|(i, line)| {
            let blank =
                line.trim().is_empty() && written(i).is_some_and(|text| text.trim().is_empty());
            blank || written(i).and_then(|text| text.strip_prefix(indent)) == Some(line)
        })
}
