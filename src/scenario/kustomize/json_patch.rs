//! JSON patches (RFC 6902) on objects that know the places of their values.

use crate::diagnostic::Span;
use crate::scenario::yaml::{Entry, Node, Value};

/// Steps of a pointer.
const MOST_STEPS: usize = 60;
/// Levels of a value that is put somewhere.
const MOST_LEVELS: usize = 100;

/// Why an operation cannot be applied, and where it says so.
#[derive(Debug)]
pub(super) struct Failure {
    /// The place in the patch.
    pub(super) span: Span,
    /// The reason.
    pub(super) reason: String,
}

fn failure<T>(span: Span, reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { span, reason: reason.into() })
}

/// Applies all operations of a patch in order; the first that fails ends it. `room` is the number of values that may be
/// added, and is used up.
pub(super) fn apply(target: &mut Node, patch: &Node, room: &mut usize) -> Result<(), Failure> {
    let Value::Sequence(operations) = &patch.value else {
        return failure(patch.span, "it must be a list of operations");
    };
    operations.iter().try_for_each(|operation| apply_one(target, operation, room))
}

fn apply_one(target: &mut Node, operation: &Node, room: &mut usize) -> Result<(), Failure> {
    if let Value::Mapping(entries) = &operation.value {
        let known = |entry: &&Entry| !["op", "path", "value", "from"].contains(&entry.key.as_str());
        if let Some(unknown) = entries.iter().find(known) {
            return failure(
                unknown.key_span,
                format!("an operation has no field `{}`", unknown.key),
            );
        }
    }
    let op = required(operation, "op")?;
    let path = pointer(operation, "path")?;
    let value = || match operation.get("value") {
        Some(value) => Ok(value.clone()),
        None => failure(operation.span, "the operation needs `value`"),
    };
    match op.text().unwrap_or_default() {
        "add" => add(target, &path, value()?, room),
        "remove" => remove(target, &path).map(|_| ()),
        "replace" => {
            let value = value()?;
            charge(&value, &path, room)?;
            *find(target, &path)? = value;
            Ok(())
        }
        "move" => {
            let from = pointer(operation, "from")?;
            let moved = remove(target, &from)?;
            add(target, &path, moved, room)
        }
        "copy" => {
            let from = pointer(operation, "from")?;
            let copied = find(target, &from)?.clone();
            add(target, &path, copied, room)
        }
        "test" => {
            let expected = value()?;
            if is_equal(find(target, &path)?, &expected) {
                return Ok(());
            }
            failure(expected.span, format!("the value at `{}` is another", path.text))
        }
        other => failure(
            op.span,
            format!("`{other}` is no operation: add, remove, replace, move, copy or test"),
        ),
    }
}

fn required<'n>(operation: &'n Node, key: &str) -> Result<&'n Node, Failure> {
    match operation.get(key) {
        Some(node) if node.text().is_some() => Ok(node),
        _ => failure(operation.span, format!("every operation needs `{key}`")),
    }
}

/// A parsed JSON pointer.
struct Pointer {
    text: String,
    steps: Vec<String>,
    span: Span,
}

impl Pointer {
    fn missing<T>(&self) -> Result<T, Failure> {
        failure(self.span, format!("the object has nothing at `{}`", self.text))
    }
}

fn pointer(operation: &Node, key: &str) -> Result<Pointer, Failure> {
    let node = required(operation, key)?;
    let text = node.text().unwrap_or_default().to_owned();
    let Some(inner) = text.strip_prefix('/') else {
        return failure(node.span, format!("`{text}` is no path: it starts with `/`"));
    };
    let steps: Vec<String> =
        inner.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if steps.len() > MOST_STEPS {
        return failure(node.span, format!("the path has more than {MOST_STEPS} steps"));
    }
    Ok(Pointer { text, steps, span: node.span })
}

fn find<'n>(target: &'n mut Node, path: &Pointer) -> Result<&'n mut Node, Failure> {
    let mut node = target;
    for step in &path.steps {
        let next = match &mut node.value {
            Value::Mapping(entries) => {
                entries.iter_mut().find(|entry| entry.key == *step).map(|entry| &mut entry.value)
            }
            Value::Sequence(items) => index(step).and_then(|i| items.get_mut(i)),
            Value::Scalar { .. } => None,
        };
        node = match next {
            Some(next) => next,
            None => return path.missing(),
        };
    }
    Ok(node)
}

/// The collection that holds the last step, and that step.
fn parent<'n, 'p>(
    target: &'n mut Node,
    path: &'p Pointer,
) -> Result<(&'n mut Node, &'p str), Failure> {
    let (last, before) = match path.steps.split_last() {
        Some((last, before)) => (last.as_str(), before.to_vec()),
        None => return path.missing(),
    };
    let above = Pointer { text: path.text.clone(), steps: before, span: path.span };
    Ok((find(target, &above)?, last))
}

/// Uses up room for a value, so that copies of copies end.
fn charge(value: &Node, path: &Pointer, room: &mut usize) -> Result<(), Failure> {
    let (values, levels) = size(value);
    match room.checked_sub(values) {
        Some(left) if levels <= MOST_LEVELS => {
            *room = left;
            Ok(())
        }
        _ => failure(path.span, "the value is too large or too deep"),
    }
}

/// Values and levels of a tree.
fn size(node: &Node) -> (usize, usize) {
    let add = |(values, levels): (usize, usize), inner: &Node| {
        let (more, deeper) = size(inner);
        (values + more, levels.max(deeper + 1))
    };
    match &node.value {
        Value::Scalar { .. } => (1, 0),
        Value::Sequence(items) => items.iter().fold((1, 1), add),
        Value::Mapping(entries) => entries.iter().map(|entry| &entry.value).fold((1, 1), add),
    }
}

fn add(target: &mut Node, path: &Pointer, value: Node, room: &mut usize) -> Result<(), Failure> {
    charge(&value, path, room)?;
    let (holder, last) = parent(target, path)?;
    match &mut holder.value {
        Value::Mapping(_) => {
            holder.set(last, path.span, value);
            Ok(())
        }
        Value::Sequence(items) => {
            let position = if last == "-" { Some(items.len()) } else { index(last) };
            match position.filter(|position| *position <= items.len()) {
                Some(position) => items.insert(position, value),
                None => return path.missing(),
            }
            Ok(())
        }
        Value::Scalar { .. } => path.missing(),
    }
}

fn remove(target: &mut Node, path: &Pointer) -> Result<Node, Failure> {
    let (holder, last) = parent(target, path)?;
    let removed = match &mut holder.value {
        Value::Mapping(_) => holder.remove(last),
        Value::Sequence(items) => {
            let position = index(last).filter(|position| *position < items.len());
            position.map(|position| items.remove(position))
        }
        Value::Scalar { .. } => None,
    };
    match removed {
        Some(removed) => Ok(removed),
        None => path.missing(),
    }
}

/// An index without sign or leading zero.
fn index(step: &str) -> Option<usize> {
    let plain =
        step.bytes().all(|b| b.is_ascii_digit()) && (step.len() == 1 || !step.starts_with('0'));
    step.parse().ok().filter(|_| plain)
}

/// Equal values, wherever they stand.
fn is_equal(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar { text: a_text, .. }, Value::Scalar { text: b_text, .. }) => {
            a_text == b_text && a.describe() == b.describe()
        }
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            let has = |entry: &Entry| {
                b.iter().any(|o| o.key == entry.key && is_equal(&entry.value, &o.value))
            };
            a.len() == b.len() && a.iter().all(has)
        }
        _ => false,
    }
}
