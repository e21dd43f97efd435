//! Interned text: label keys, label values, names. One interner a run; ids are given in order of first sight, so that
//! they are equal in any two runs of one input, but nothing visible may be ordered by them (see [`Symbols::text`]).

use rustc_hash::FxHashMap;

/// Interned text. The order of symbols is the order of first sight and must never decide anything visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// The symbol at a position of an interner; for the fixed keys of a vocabulary.
    pub const fn at(index: usize) -> Symbol {
        Symbol(index as u32)
    }

    /// Position in the interner, for dense tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A label value: interned text and, when the text is a signed 64-bit decimal, its number (for Gt, Lt, Gte, Lte).
#[derive(Clone, Copy, Debug)]
pub struct LabelValue {
    /// The text.
    pub symbol: Symbol,
    /// The text as an integer, as Go's `strconv.ParseInt(s, 10, 64)` reads it.
    pub integer: Option<i64>,
}

impl PartialEq for LabelValue {
    fn eq(&self, other: &LabelValue) -> bool {
        self.symbol == other.symbol
    }
}
impl Eq for LabelValue {}
impl std::hash::Hash for LabelValue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.symbol.hash(state);
    }
}
impl PartialOrd for LabelValue {
    fn partial_cmp(&self, other: &LabelValue) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for LabelValue {
    fn cmp(&self, other: &LabelValue) -> std::cmp::Ordering {
        self.symbol.cmp(&other.symbol)
    }
}

/// The interner.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    texts: Vec<std::sync::Arc<str>>,
    ids: FxHashMap<std::sync::Arc<str>, Symbol>,
}

impl Symbols {
    /// The symbol of `text`, new or known.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.ids.get(text) {
            return *symbol;
        }
        // Never fails: the texts of 2^32 symbols would fill the memory first.
        let symbol =
            Symbol(u32::try_from(self.texts.len()).expect("fewer than 2^32 distinct texts"));
        let text: std::sync::Arc<str> = text.into();
        self.texts.push(text.clone());
        self.ids.insert(text, symbol);
        symbol
    }

    /// The label value of `text`, interned.
    pub fn intern_value(&mut self, text: &str) -> LabelValue {
        LabelValue { symbol: self.intern(text), integer: text.parse().ok() }
    }

    /// The symbol of `text` if it was ever interned.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.ids.get(text).copied()
    }

    /// The label value of a known symbol.
    pub fn value(&self, symbol: Symbol) -> LabelValue {
        LabelValue { symbol, integer: self.text(symbol).parse().ok() }
    }

    /// The text of a symbol.
    pub fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.index()]
    }

    /// Number of distinct texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// True when nothing was interned.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_stable_and_values_know_their_number() {
        let mut symbols = Symbols::default();
        let a = symbols.intern("a");
        assert_eq!(symbols.intern("a"), a);
        assert_eq!(symbols.text(a), "a");
        assert_eq!(symbols.intern_value("16").integer, Some(16));
        assert_eq!(symbols.intern_value("+3").integer, Some(3));
        assert_eq!(symbols.intern_value("1.5").integer, None);
    }
}
