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

/// Storage of entities by [`Id`].
#[derive(Clone, Debug)]
pub struct Arena<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena { slots: Vec::new(), free: Vec::new() }
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
        let (generation, entry) = &mut self.slots[slot as usize];
        *entry = Some(value);
        Id { slot, generation: *generation, of: PhantomData }
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
        Some(value)
    }

    /// The entity, unless the id is stale.
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        let (generation, entry) = self.slots.get(id.slot as usize)?;
        if *generation == id.generation { entry.as_ref() } else { None }
    }

    /// The entity, unless the id is stale.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
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
}
