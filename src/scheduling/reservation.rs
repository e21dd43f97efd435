//! Capacity reservations during one Solve: who holds how much of which.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/reservationmanager.go`, and
//! `offeringsToReserve` of `nodeclaim.go`.

use smallvec::SmallVec;

use super::template::Template;
use crate::ec2::instance_type::Reservation;
use crate::kube::Requirements;
use crate::units::{BitSet, LabelValue};

/// Reservations that a claim holds, by position.
pub(super) type Held = SmallVec<[usize; 2]>;

/// What is left of each reservation.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservations {
    ids: Vec<LabelValue>,
    left: Vec<i64>,
}

/// Why nothing could be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReservationError {
    /// All that would do is held by others.
    UsedUp,
    /// The claim would lose all that it holds.
    WouldLoseAll,
}

impl ReservationError {
    /// Upstream's text.
    pub(super) const fn text(self) -> &'static str {
        match self {
            ReservationError::UsedUp => {
                "one or more instance types with compatible reserved offerings are available, but could not be reserved"
            }
            ReservationError::WouldLoseAll => {
                "satisfying updated nodeclaim constraints would remove all compatible reserved offering options"
            }
        }
    }
}

impl Reservations {
    /// All reservations that offerings name; of several capacities for one id the least counts.
    pub(super) fn new(templates: &[Template]) -> Reservations {
        let mut all = Reservations::default();
        let with_reservations = templates.iter().filter(|template| template.reserved.is_some());
        let types = with_reservations.flat_map(|template| template.types.iter());
        for Reservation { id, capacity } in
            types.flat_map(|it| it.offerings.iter().filter_map(|o| o.reservation.as_ref()))
        {
            match all.ids.iter().position(|known| known == id) {
                Some(known) => all.left[known] = all.left[known].min(*capacity),
                None => {
                    all.ids.push(*id);
                    all.left.push(*capacity);
                }
            }
        }
        all
    }

    /// True without any reservation.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids of held reservations.
    pub(super) fn ids<'a>(&'a self, held: &'a Held) -> impl Iterator<Item = LabelValue> + 'a {
        held.iter().map(|position| self.ids[*position])
    }

    /// What a claim with these options and requirements would hold. With `strict` it must hold something if something
    /// would do, and may not lose all that it holds.
    pub(super) fn wanted(
        &self,
        template: &Template,
        options: &BitSet,
        requirements: &Requirements,
        held: &Held,
        strict: bool,
    ) -> Result<Held, ReservationError> {
        let mut wanted = Held::new();
        let mut any = false;
        for option in options.iter() {
            for offering in template.types[option].offerings.iter().filter(|o| o.available) {
                let Some(reservation) = &offering.reservation else {
                    continue;
                };
                if !offering.compatible_with(requirements) {
                    continue;
                }
                any = true;
                let position = self.ids.iter().position(|id| *id == reservation.id);
                let free = |position: &usize| held.contains(position) || self.left[*position] > 0;
                if let Some(position) = position.filter(free).filter(|p| !wanted.contains(p)) {
                    wanted.push(position);
                }
            }
        }
        match wanted.is_empty() && strict {
            true if any => Err(ReservationError::UsedUp),
            true if !held.is_empty() => Err(ReservationError::WouldLoseAll),
            _ => Ok(wanted),
        }
    }

    /// A claim now holds `wanted` in place of `held`.
    pub(super) fn exchange(&mut self, held: &Held, wanted: &Held) {
        wanted.iter().filter(|p| !held.contains(p)).for_each(|p| self.left[*p] -= 1);
        held.iter().filter(|p| !wanted.contains(p)).for_each(|p| self.left[*p] += 1);
    }
}
