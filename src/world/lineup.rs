//! What is kept for entities, one item a slot of their arena, in an order of its own.

use std::ops::{Index, IndexMut};

/// Items by slot. Each has a place that stays as long as the item, and a position in the order, which its keeper
/// decides and which moves as others come and go.
#[derive(Clone, Debug)]
pub struct Lineup<T> {
    /// By place; those that `order` does not name are gone.
    items: Vec<T>,
    /// Places, in order.
    order: Vec<u32>,
    /// Positions, by place.
    positions: Vec<u32>,
    /// Places by slot.
    places: Vec<Option<u32>>,
    free: Vec<u32>,
}

impl<T> Default for Lineup<T> {
    fn default() -> Lineup<T> {
        Lineup {
            items: Vec::new(),
            order: Vec::new(),
            positions: Vec::new(),
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Lineup<T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The place of a slot's item.
    pub fn place(&self, slot: u32) -> Option<u32> {
        self.places.get(slot as usize).copied().flatten()
    }

    /// The place of the item at a position.
    pub fn at(&self, position: usize) -> Option<u32> {
        self.order.get(position).copied()
    }

    /// The position of the item at a place.
    pub fn position_of(&self, place: u32) -> usize {
        self.positions[place as usize] as usize
    }

    /// The first position whose item `comes_before` does not hold for. The items must be in its order.
    pub fn position(&self, comes_before: impl Fn(&T) -> bool) -> usize {
        self.order.partition_point(|place| comes_before(&self.items[*place as usize]))
    }

    /// Puts a slot's item at a position. The slot must have none. Returns its place.
    pub fn insert(&mut self, slot: u32, position: usize, item: T) -> u32 {
        let place = match self.free.pop() {
            Some(place) => {
                self.items[place as usize] = item;
                place
            }
            None => {
                self.items.push(item);
                self.positions.push(0);
                self.items.len() as u32 - 1
            }
        };
        self.order.insert(position, place);
        self.renumber(position);
        let index = slot as usize;
        self.places.resize(self.places.len().max(index + 1), None);
        self.places[index] = Some(place);
        place
    }

    /// Takes out the item of a slot. Returns the position that it had.
    pub fn remove(&mut self, slot: u32) -> Option<usize> {
        let place = self.places.get_mut(slot as usize)?.take()?;
        let position = self.position_of(place);
        self.free.push(self.order.remove(position));
        self.renumber(position);
        Some(position)
    }

    fn renumber(&mut self, from: usize) {
        for (position, place) in (0..).zip(&self.order).skip(from) {
            self.positions[*place as usize] = position;
        }
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.iter().map(|place| &self.items[*place as usize])
    }

    /// The items by place, those that are gone included.
    pub fn by_place(&self) -> &[T] {
        &self.items
    }
}

impl<T> Index<u32> for Lineup<T> {
    type Output = T;
    /// The item at a place.
    fn index(&self, place: u32) -> &T {
        &self.items[place as usize]
    }
}

impl<T> IndexMut<u32> for Lineup<T> {
    /// As [`Lineup::index`].
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.items[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_while_positions_move() {
        let mut lineup = Lineup::default();
        for (slot, name) in [(7, "m"), (3, "z"), (9, "a")] {
            let position = lineup.position(|known| *known < name);
            lineup.insert(slot, position, name);
        }
        assert_eq!(lineup.iter().copied().collect::<Vec<_>>(), ["a", "m", "z"]);
        let z = lineup.place(3).expect("it is there");
        assert_eq!((lineup.remove(7), lineup.remove(7), lineup.remove(99)), (Some(1), None, None));
        assert_eq!((lineup.place(7), lineup.place(3), lineup[z]), (None, Some(z), "z"));
        lineup.insert(7, 2, "zz");
        assert_eq!(lineup.iter().copied().collect::<Vec<_>>(), ["a", "z", "zz"]);
        assert_eq!((lineup.len(), lineup.by_place().len(), lineup.at(1)), (3, 3, Some(z)));
        assert_eq!(
            [9, 3, 7].map(|slot| lineup.place(slot).map(|p| lineup.position_of(p))),
            [Some(0), Some(1), Some(2)]
        );
    }
}
