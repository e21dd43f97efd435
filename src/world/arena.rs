//! Slots with generations: ids stay valid or are known to be stale, and memory does not grow with what is gone.
//!
//! The order of slots is an accident of recycling. Nothing may be decided, named or drawn by it: entities carry an
//! ordinal for that, and ordered lists of ids are kept beside the arena.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// A handle to a `T`; stale once the `T` was removed.
pub struct Id<T> {
    slot: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// Slot and generation in one number, for keys of queues inside one run.
    pub const fn raw(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The slot: a small number, used again for others when the entity is gone.
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Id<T> {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Id<T>) -> bool {
        self.raw() == other.raw()
    }
}
impl<T> Eq for Id<T> {}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw().hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.slot, self.generation)
    }
}

/// Writes that are remembered at most; who is further behind has to look at everything.
const LONGEST_LOG: usize = 1 << 16;

/// Storage of entities by [`Id`]. It remembers which slots were written last, so that what is derived from entities can
/// be brought up to date without a look at all of them.
#[derive(Clone, Debug)]
pub struct Arena<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    /// Slots in the order in which they were written.
    written: Vec<u32>,
    /// Writes that are remembered no longer.
    forgotten: u64,
}

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena { slots: Vec::new(), free: Vec::new(), written: Vec::new(), forgotten: 0 }
    }
}

impl<T> Arena<T> {
    /// Stores `value`.
    pub fn insert(&mut self, value: T) -> Id<T> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            // Never fails: that many entities would fill the memory first.
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 live entities")
        });
        self.note(slot);
        let (generation, entry) = &mut self.slots[slot as usize];
        *entry = Some(value);
        Id { slot, generation: *generation, of: PhantomData }
    }

    fn note(&mut self, slot: u32) {
        if self.written.last() == Some(&slot) {
            return;
        }
        if self.written.len() == LONGEST_LOG {
            // The older half goes, so that who looks often enough is never behind.
            self.forgotten += LONGEST_LOG as u64 / 2;
            self.written.drain(..LONGEST_LOG / 2);
        }
        self.written.push(slot);
    }

    /// Writes so far: a point in time for [`Arena::written_since`].
    pub fn written(&self) -> u64 {
        // The last entry may stand for writes to come.
        self.forgotten + (self.written.len() as u64).saturating_sub(1)
    }

    /// Slots that may have been written since, some of them more than once. `None` when that is too long ago.
    pub fn written_since(&self, point: u64) -> Option<&[u32]> {
        let known = point.checked_sub(self.forgotten)?;
        self.written.get(usize::try_from(known).ok()?..)
    }

    /// What is in a slot.
    pub fn at(&self, slot: u32) -> Option<(Id<T>, &T)> {
        let (generation, entry) = self.slots.get(slot as usize)?;
        let id = Id { slot, generation: *generation, of: PhantomData };
        entry.as_ref().map(|entry| (id, entry))
    }

    /// Takes the entity out; its id is stale from now on.
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let (generation, entry) = self.slots.get_mut(id.slot as usize)?;
        if *generation != id.generation {
            return None;
        }
        let value = entry.take()?;
        *generation += 1;
        self.free.push(id.slot);
        self.note(id.slot);
        Some(value)
    }

    /// The entity, unless the id is stale.
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        let (generation, entry) = self.slots.get(id.slot as usize)?;
        if *generation == id.generation { entry.as_ref() } else { None }
    }

    /// The entity, unless the id is stale.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.note(id.slot);
        let (generation, entry) = self.slots.get_mut(id.slot as usize)?;
        if *generation == id.generation { entry.as_mut() } else { None }
    }
}

impl<T> std::ops::Index<Id<T>> for Arena<T> {
    type Output = T;
    /// The entity of an id that is known to be live; a stale id is a defect of the program.
    fn index(&self, id: Id<T>) -> &T {
        self.get(id).unwrap_or_else(|| panic!("stale id {id:?}"))
    }
}

impl<T> std::ops::IndexMut<Id<T>> for Arena<T> {
    /// As [`Arena::index`].
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        self.get_mut(id).unwrap_or_else(|| panic!("stale id {id:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_ids_are_stale_even_when_their_slot_is_used_again() {
        let mut arena = Arena::default();
        let a = arena.insert("a");
        assert_eq!(arena.remove(a), Some("a"));
        let b = arena.insert("b");
        assert_ne!(a, b);
        assert_eq!((arena.get(a), arena.get(b)), (None, Some(&"b")));
        assert_eq!(arena.remove(a), None);
    }

    #[test]
    fn writes_are_known_until_they_are_too_many() {
        let mut arena = Arena::default();
        let (a, b) = (arena.insert(1), arena.insert(2));
        let point = arena.written();
        arena[a] = 3;
        assert!(arena.written_since(point).is_some_and(|slots| slots.contains(&a.slot())));
        let point = arena.written();
        // Another write to the slot that was written last.
        arena[a] = 4;
        assert!(arena.written_since(point).is_some_and(|slots| slots.contains(&a.slot())));
        for _ in 0..LONGEST_LOG {
            arena[b] += 1;
            arena[a] += 1;
        }
        assert_eq!(arena.written_since(point), None);
        assert_eq!(arena.written_since(0), None);
        let point = arena.written();
        arena.remove(b);
        assert!(arena.written_since(point).is_some_and(|slots| slots.contains(&b.slot())));
    }
}
