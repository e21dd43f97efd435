//! Diagnostics as text in the style of rustc, and as one JSON object a line.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

use crate::diagnostic::{
    Diagnostic, Diagnostics, Severity, SourceId, Sources, Span, floor_char_boundary,
};

/// Whether the text carries ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI escape sequences.
    On,
}

/// All diagnostics as text, one blank line between two, and a last line that counts what is not
/// shown.
pub fn render(diagnostics: &Diagnostics, colour: Colour) -> String {
    let (shown, more) = diagnostics.shown();
    let mut texts: Vec<String> = shown
        .iter()
        .map(|diagnostic| render_one(diagnostic, &diagnostics.sources, colour))
        .collect();
    if more > 0 {
        texts.push(format!("... and {more} more"));
    }
    texts.iter_mut().for_each(|text| text.push('\n'));
    texts.join("\n")
}

/// One diagnostic as text, without a final newline.
pub fn render_one(diagnostic: &Diagnostic, sources: &Sources, colour: Colour) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut elements: Vec<Element<'_>> = Vec::new();
    for source in sources_of(diagnostic) {
        elements.push(snippet(diagnostic, source, sources).into());
    }
    for note in &diagnostic.notes {
        elements.push(Level::NOTE.message(note.as_str()).into());
    }
    for help in diagnostic.did_you_mean().into_iter().chain(diagnostic.help.clone()) {
        elements.push(Level::HELP.message(help).into());
    }
    let group: Group<'_> = title.elements(elements);
    let renderer = match colour {
        Colour::Off => Renderer::plain(),
        Colour::On => Renderer::styled(),
    };
    renderer.render(&[group])
}

/// The texts that a diagnostic points into, that of the primary place first.
fn sources_of(diagnostic: &Diagnostic) -> Vec<SourceId> {
    let mut list: Vec<SourceId> = Vec::new();
    for label in &diagnostic.labels {
        if !list.contains(&label.span.source) {
            list.push(label.span.source);
        }
    }
    list
}

/// The excerpt of one text with all marks in it.
fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    source: SourceId,
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let file = sources.get(source);
    let mut excerpt = Snippet::source(&*file.text).path(file.name.as_str());
    for (i, label) in diagnostic.labels.iter().enumerate() {
        if label.span.source != source {
            continue;
        }
        let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let mut annotation = kind.span(first_line_of(label.span, &file.text));
        if !label.text.is_empty() {
            annotation = annotation.label(label.text.as_str());
        }
        excerpt = excerpt.annotation(annotation);
    }
    excerpt
}

/// The part of a span on its first line: a mark over a whole object would hide the point.
fn first_line_of(span: Span, text: &str) -> std::ops::Range<usize> {
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end.max(start));
    let line_end = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..start + text[start..line_end].trim_end().len()
}

/// All diagnostics as JSON, one object a line: code, severity, message, file, line, column,
/// end_line, end_column, notes, help, suggestion. Nothing is left out, whatever the number.
pub fn render_json(diagnostics: &Diagnostics) -> String {
    let mut list: Vec<&Diagnostic> = diagnostics.iter().collect();
    list.sort_by_key(|diagnostic| diagnostic.span());
    list.iter()
        .map(|diagnostic| json_line(diagnostic, &diagnostics.sources).to_string() + "\n")
        .collect()
}

fn json_line(diagnostic: &Diagnostic, sources: &Sources) -> serde_json::Value {
    let mut line = serde_json::Map::new();
    let mut put = |key: &str, value: serde_json::Value| line.insert(key.to_owned(), value);
    put("code", diagnostic.code.into());
    put("severity", diagnostic.severity.name().into());
    put("message", diagnostic.message.as_str().into());
    if let Some(span) = diagnostic.span() {
        let start = sources.position(span.source, span.start);
        let end = sources.position(span.source, span.end);
        put("file", sources.get(span.source).name.as_str().into());
        put("line", start.line.into());
        put("column", start.column.into());
        put("end_line", end.line.into());
        put("end_column", end.column.into());
    }
    put("notes", diagnostic.notes.clone().into());
    put("help", diagnostic.help.clone().into());
    put("suggestion", diagnostic.suggestions.first().cloned().into());
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic;

    fn example() -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let source =
            diagnostics.sources.add("pool.yaml", "spec:\n  weigth: 5\n  weight: 1\n".into());
        let span = Span { source, start: 8, end: 14 };
        let problem = diagnostic::unknown_field(span, "spec.weigth", "NodePool")
            .also(Span { source, start: 20, end: 26 }, "the field exists here")
            .note("karpenter.sh/v1 refuses unknown fields")
            .suggest("weigth", ["weight", "limits"]);
        diagnostics.push(problem);
        diagnostics
    }

    #[test]
    fn text_shows_the_place_and_the_next_step() {
        let expected = "\
error[KS0302]: NodePool has no field `spec.weigth`
 --> pool.yaml:2:3
  |
2 |   weigth: 5
  |   ^^^^^^
3 |   weight: 1
  |   ------ the field exists here
  |
  = note: karpenter.sh/v1 refuses unknown fields
  = help: did you mean `weight`?
";
        assert_eq!(render(&example(), Colour::Off), expected);
    }

    #[test]
    fn json_has_one_object_a_line() {
        let expected = concat!(
            r#"{"code":"KS0302","severity":"error","message":"NodePool has no field `spec.weigth`","#,
            r#""file":"pool.yaml","line":2,"column":3,"end_line":2,"end_column":9,"#,
            r#""notes":["karpenter.sh/v1 refuses unknown fields"],"help":null,"#,
            r#""suggestion":"weight"}"#,
            "\n"
        );
        assert_eq!(render_json(&example()), expected);
    }

    #[test]
    fn marks_beyond_the_text_do_not_panic() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add("é.yaml", "é".into());
        for (start, end) in [(0, 1), (1, 99), (99, 100), (2, 0)] {
            diagnostics.push(diagnostic::no_object(Span { source, start, end }, "x"));
        }
        assert_eq!(render(&diagnostics, Colour::Off).matches("KS0301").count(), 4);
        assert!(render(&diagnostics, Colour::On).contains("\u{1b}["));
    }
}
