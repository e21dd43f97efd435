//! Where the values of a RON text stand. `ron` gives a place only for values that it refuses; a
//! wrong duration is a proper text for it, so this second, tolerant reading records the place of
//! every value.

use std::ops::Range;

/// Values within each other that are looked at.
const MOST_LEVELS: usize = 60;

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its bytes.
    pub span: Range<usize>,
    /// The name before its parenthesis, or the identifier or number itself.
    pub name: String,
    /// `(`, `[`, `{`, or a space for a value without parts.
    pub bracket: char,
    /// What stands in the bracket.
    pub parts: Vec<Part>,
}

/// A field, an entry or an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name or the entry's key without quotes; empty for an item.
    pub key: String,
    /// The key's bytes; for an item an empty range at its start.
    pub key_span: Range<usize>,
    /// Key, value and the comma after it.
    pub whole: Range<usize>,
    /// The value.
    pub value: Place,
}

impl Place {
    /// The value at a path such as `cluster.zones[2]`; of a path that leads nowhere, the last value
    /// that exists.
    pub fn at(&self, path: &str) -> &Place {
        steps(path)
            .try_fold(self, |place, step| place.step(step).ok_or(place))
            .unwrap_or_else(|p| p)
    }

    /// The value at a path, if it leads to one.
    pub fn find(&self, path: &str) -> Option<&Place> {
        steps(path).try_fold(self, |place, step| place.step(step))
    }

    /// The parts of the value at a path, none if it leads nowhere.
    pub fn parts_of(&self, path: &str) -> &[Part] {
        self.find(path).map_or(&[], |place| &place.parts)
    }

    fn step(&self, step: &str) -> Option<&Place> {
        let part = match step.strip_suffix(']') {
            Some(index) => self.parts.get(index.parse::<usize>().ok()?),
            None => self.part(step),
        };
        part.map(|part| &part.value)
    }

    /// The field or entry of a key.
    pub fn part(&self, key: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.key == key)
    }

    /// The innermost value around a byte.
    pub fn deepest_value(&self, byte: usize) -> &Place {
        let inner = self.parts.iter().find(|part| part.whole.contains(&byte));
        inner.map_or(self, |part| part.value.deepest_value(byte))
    }

    /// The innermost parts around a byte that can be left out (fields, entries, list items),
    /// outermost first.
    pub fn removable_around(&self, byte: usize) -> Vec<&Part> {
        let mut found = Vec::new();
        let mut place = self;
        while let Some(part) = place.parts.iter().find(|part| part.whole.contains(&byte)) {
            if place.bracket != '(' || !part.key.is_empty() {
                found.push(part);
            }
            place = &part.value;
        }
        found
    }
}

/// The places of a text, as far as it can be read.
pub fn places(text: &str) -> Place {
    let mut walker = Walker { text, at: 0 };
    walker.skip_blank();
    while walker.rest().starts_with("#!") {
        let end = walker.rest().find(']').map_or(text.len(), |i| walker.at + i + 1);
        walker.at = end;
        walker.skip_blank();
    }
    walker.value(0)
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[']).filter(|step| !step.is_empty())
}

struct Walker<'a> {
    text: &'a str,
    at: usize,
}

impl Walker<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> char {
        self.rest().chars().next().unwrap_or('\0')
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += block_comment(rest);
            } else {
                return;
            }
        }
    }

    fn value(&mut self, level: usize) -> Place {
        let start = self.at;
        let mut place = Place { bracket: ' ', ..Place::default() };
        if let Some(length) = string_length(self.rest()) {
            self.at += length;
        } else {
            let word = self.rest().find(is_delimiter).unwrap_or(self.rest().len());
            place.name = self.rest()[..word].to_owned();
            self.at += word;
            let before_blank = self.at;
            self.skip_blank();
            let bracket = self.peek();
            let opens = matches!(bracket, '(') || word == 0 && matches!(bracket, '[' | '{');
            if opens && level < MOST_LEVELS {
                place.bracket = bracket;
                self.at += 1;
                self.parts(&mut place, level);
            } else {
                self.at = before_blank;
            }
        }
        place.span = start..self.at;
        place
    }

    fn parts(&mut self, place: &mut Place, level: usize) {
        let close = match place.bracket {
            '(' => ')',
            '[' => ']',
            _ => '}',
        };
        loop {
            self.skip_blank();
            if self.peek() == close {
                self.at += 1;
                return;
            }
            let start = self.at;
            let mut value = self.value(level + 1);
            let (mut key, mut key_span) = (String::new(), start..start);
            self.skip_blank();
            if self.peek() == ':' {
                key_span = value.span.clone();
                key = self.text[value.span].trim_matches('"').to_owned();
                self.at += 1;
                self.skip_blank();
                value = self.value(level + 1);
                self.skip_blank();
            }
            if self.peek() == ',' {
                self.at += 1;
            }
            if self.at == start {
                return;
            }
            place.parts.push(Part { key, key_span, whole: start..self.at, value });
        }
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '"' | '/')
}

/// Length of the block comment that a text starts with; comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of the string or character that a text starts with.
fn string_length(text: &str) -> Option<usize> {
    let raw = text.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
    if let Some(hashes) = raw.filter(|hashes| text[1 + hashes..].starts_with('"')) {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = 2 + hashes;
        return Some(text[body..].find(&close).map_or(text.len(), |end| body + end + close.len()));
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(i + 1),
            _ => {}
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_path() {
        let text = r##"#![enable(implicit_some)]
// a comment ( [
Scenario(
    name: "a \" b", /* nested /* ( */ */ about: r#"raw " text"#,
    cluster: (zones: ["x", "y"], env: { "K": "V" }),
    timeline: [At("1m", Scale("Deployment/a/b", 5)),],
)"##;
        let root = places(text);
        for (path, expected) in [
            ("name", r#""a \" b""#),
            ("about", r##"r#"raw " text"#"##),
            ("cluster.zones[1]", "\"y\""),
            ("cluster.env.K", "\"V\""),
            ("timeline[0]", "At(\"1m\", Scale(\"Deployment/a/b\", 5))"),
            ("timeline[0][1][1]", "5"),
            ("cluster.nothing", "(zones: [\"x\", \"y\"], env: { \"K\": \"V\" })"),
        ] {
            assert_eq!(&text[root.at(path).span.clone()], expected, "{path}");
        }
        let five = text.find("5)").expect("five");
        let around: Vec<&str> =
            root.removable_around(five).iter().map(|part| &text[part.whole.clone()]).collect();
        assert_eq!(around.len(), 2);
        assert_eq!(around[1], "At(\"1m\", Scale(\"Deployment/a/b\", 5)),");
    }

    #[test]
    fn broken_texts_do_not_panic() {
        for text in
            ["", "(", ")", "(a:", "(a: \"", "[[[", "/*", "r#\"", "(a b c)", "'", "(,)", "é(é:é)"]
        {
            places(text);
        }
        places(&"(".repeat(10_000));
    }
}
