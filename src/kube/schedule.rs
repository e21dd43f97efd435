//! Cron windows of disruption budgets, in UTC.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1/nodepool.go` (`Budget.IsActive`), which parses with robfig/cron v3's
//! standard parser. Its grammar is narrower than that of the crate used here: each field is read by [`Field::parse`],
//! which refuses what robfig refuses, and the crate is handed the plain lists of values that are left.

use croner::Cron;
use croner::parser::CronParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::units::SimDuration;

/// A window that opens by a cron expression and closes after a duration.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    /// `None` for an expression without any hit, such as the 30th of February.
    cron: Option<Cron>,
    duration: SimDuration,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.text == other.text && self.duration == other.duration
    }
}

impl Schedule {
    /// A schedule of five fields or one of `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`,
    /// `@hourly`. The error says what robfig/cron, or the CRD's pattern, refuses.
    pub fn parse(text: &str, duration: SimDuration) -> Result<Schedule, String> {
        let plain = plain_fields(text)?;
        let cron = CronParser::new().parse(&plain).map_err(|error| error.to_string())?;
        let hits = zoned(0).is_some_and(|from| cron.find_next_occurrence(&from, false).is_ok());
        let cron = hits.then_some(cron);
        Ok(Schedule { text: text.to_owned(), cron, duration })
    }

    /// True iff a hit `h` exists with `h <= now < h + duration`. A hit inside of a window prolongs it.
    ///
    /// An expression without any hit is always active: robfig then returns the zero time, which Karpenter takes for a
    /// hit in the past. `now` is in milliseconds since 1970-01-01 UTC.
    pub fn is_active(&self, now_epoch_ms: i64) -> bool {
        let Some(cron) = &self.cron else {
            return true;
        };
        let opened_after = now_epoch_ms - self.duration.ms();
        let hit = zoned(opened_after).and_then(|from| {
            // Hits are whole minutes, so that the fraction of a second is of no account.
            cron.find_next_occurrence(&from, false).ok()
        });
        hit.is_some_and(|hit| hit.timestamp().as_millisecond() <= now_epoch_ms)
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn zoned(epoch_ms: i64) -> Option<Zoned> {
    let seconds = Timestamp::from_second(epoch_ms.div_euclid(1_000)).ok()?;
    Some(seconds.to_zoned(TimeZone::UTC))
}

/// A field of a cron expression.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of values from `least` on.
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, words: &[] },
    Field { name: "hour", least: 0, most: 23, words: &[] },
    Field { name: "day of month", least: 1, most: 31, words: &[] },
    Field { name: "month", least: 1, most: 12, words: &MONTHS },
    Field { name: "day of week", least: 0, most: 6, words: &DAYS },
];

/// The expression with every field as `*` or a list of numbers.
fn plain_fields(text: &str) -> Result<String, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        descriptor if descriptor.starts_with('@') => {
            let known = "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";
            return Err(format!("`{descriptor}` is none of {known}"));
        }
        fields => fields,
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("a schedule has 5 fields, not {}", fields.len()));
    }
    let plain: Result<Vec<String>, String> =
        FIELDS.iter().zip(fields).map(|(field, text)| field.parse(text)).collect();
    Ok(plain?.join(" "))
}

impl Field {
    /// `*`, or the values in ascending order.
    fn parse(&self, text: &str) -> Result<String, String> {
        let mut values = vec![false; self.most as usize + 1];
        let mut star = false;
        // robfig splits at commas and drops empty items.
        for item in text.split(',').filter(|item| !item.is_empty()) {
            star |= self.item(item, &mut values)?;
        }
        if star {
            // A list that holds a star admits everything, and its day field does not restrict.
            return Ok("*".to_owned());
        }
        let listed: Vec<String> = (self.least..=self.most)
            .filter(|v| values[*v as usize])
            .map(|v| v.to_string())
            .collect();
        if listed.is_empty() {
            return Err(format!("the {} is empty", self.name));
        }
        Ok(listed.join(","))
    }

    /// Marks the values of one item: `*`, `?`, `a`, `a-b`, each with an optional `/step`. True for a star of step 1.
    fn item(&self, item: &str, values: &mut [bool]) -> Result<bool, String> {
        let wrong = |why: &str| Err(format!("the {} `{item}` {why}", self.name));
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => match number(step) {
                Some(step) => (range, Some(step)),
                None => return wrong("has a step that is no number"),
            },
        };
        let (low, high) = match range.split_once('-') {
            None if range == "*" || range == "?" => (self.least, self.most),
            // robfig ignores what follows the hyphen.
            Some(("*" | "?", _)) => (self.least, self.most),
            None => {
                let Some(value) = self.value(range) else { return wrong("is no value") };
                // `a/n` runs to the field's end.
                (value, if step.is_some() { self.most } else { value })
            }
            Some((low, high)) => match (self.value(low), self.value(high)) {
                (Some(low), Some(high)) => (low, high),
                _ => return wrong("is no range"),
            },
        };
        if low < self.least || high > self.most {
            return wrong(&format!("is not within {} to {}", self.least, self.most));
        }
        if low > high {
            return wrong("is a range that descends");
        }
        let step = step.unwrap_or(1);
        if step == 0 {
            return wrong("has a step of 0");
        }
        (low..=high).step_by(step as usize).for_each(|value| values[value as usize] = true);
        Ok(range.starts_with(['*', '?']) && step == 1)
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = text.to_ascii_lowercase();
        match self.words.iter().position(|known| *known == word) {
            Some(i) => Some(self.least + i as u32),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    fn active(schedule: &str, duration: &str, now: &str) -> bool {
        let duration = SimDuration::parse(duration).expect("a duration");
        Schedule::parse(schedule, duration).expect("a schedule").is_active(at(now))
    }

    /// `disruption.md` 20.
    #[test]
    fn windows_open_at_the_hit_and_close_after_the_duration() {
        assert!(active("@daily", "10m", "2026-08-03T00:00:00Z"));
        assert!(active("@daily", "10m", "2026-08-03T00:09:59.999Z"));
        assert!(!active("@daily", "10m", "2026-08-03T00:10:00Z"));
        assert!(!active("@daily", "10m", "2026-08-02T23:59:59.999Z"));
        for hour in 0..24 {
            let now = format!("2026-08-03T{hour:02}:37:11.5Z");
            assert!(active("@daily", "48h", &now) && active("@hourly", "60m", &now));
        }
        assert!(!active("30 6 * * SUN", "6h", "2026-08-02T00:00:00Z"));
        assert!(active("30 6 * * SUN", "6h", "2026-08-02T06:30:00Z"));
        assert!(active("30 6 * * SUN", "6h", "2026-08-02T12:29:59Z"));
        assert!(!active("30 6 * * SUN", "6h", "2026-08-02T12:30:00Z"));
    }

    /// `disruption.md` 3.3: either of two restricted day fields suffices; a star of step 1 does not restrict.
    #[test]
    fn day_fields_are_ored_when_both_restrict() {
        // The 4th of August 2026 is a Tuesday.
        assert!(active("0 0 4 * mon", "1h", "2026-08-04T00:00:00Z"));
        assert!(active("0 0 4 * mon", "1h", "2026-08-03T00:00:00Z"));
        assert!(!active("0 0 4 * mon", "1h", "2026-08-05T00:00:00Z"));
        assert!(!active("0 0 4 * */1", "1h", "2026-08-03T00:00:00Z"));
        assert!(active("0 0 4 * */3", "1h", "2026-08-05T00:00:00Z"));
        assert!(!active("0 0 ? * mon", "1h", "2026-08-04T00:00:00Z"));
        assert!(active("50/5 * * * *", "1m", "2026-08-04T03:55:30Z"));
        assert!(active("0 0 30 2 *", "1m", "2026-08-04T03:55:30Z"));
    }

    #[test]
    fn what_robfig_refuses_is_refused() {
        for wrong in [
            "0 0 * * tue-mon",
            "0 0 * * 7",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * *",
            "* * * * * *",
            "@every 1h",
            "@reboot",
            "",
            "a * * * *",
            "*/0 * * * *",
            "1-2-3 * * * *",
            "L * * * *",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * mon#2",
            "1/x * * * *",
            ", * * * *",
            "TZ=UTC 0 0 * * *",
            "-1 * * * *",
        ] {
            assert!(Schedule::parse(wrong, SimDuration::from_minutes(60)).is_err(), "{wrong}");
        }
        for right in
            ["*/15 * * * *", "0 9,17 * * 1-5", "0 0 1 JAN,jul ?", "5-10/2 0 * * *", "@midnight"]
        {
            assert!(Schedule::parse(right, SimDuration::from_minutes(60)).is_ok(), "{right}");
        }
    }
}
