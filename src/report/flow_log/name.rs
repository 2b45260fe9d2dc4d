//! Names of files, after the convention of flow logs that are delivered to S3:
//! `ACCOUNT_vpcflowlogs_REGION_fl-ID_YYYYMMDDTHHmmZ_HASH.log`.
//!
//! The time is when the log was created, and the hash is of its id: so the same run gives the same
//! names. Refuses to touch a file system.

use crate::base::id::FlowLogId;
use crate::base::rng::mix;
use crate::cloud::flow_log::FlowLog;
use crate::report::pcapng::CalendarStart;

/// The name of the file of a flow log. Letters, digits, `_`, `-` and `.` only.
pub(super) fn of(id: FlowLogId, log: &FlowLog, start: CalendarStart) -> String {
    let seconds = start.unix_nanos_at(log.created) / 1_000_000_000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let hash = mix(id.digits().value()) >> 32;
    format!(
        "{}_vpcflowlogs_{}_{id}_{year:04}{month:02}{day:02}T{hour:02}{minute:02}Z_{hash:08x}.log",
        log.owner, log.region
    )
}

/// The date so many days after 1970-01-01, in the Gregorian calendar: year, month, day.
///
/// Years begin in March here, so that the leap day is the last of a year; 400 years have 146,097
/// days, and five months from March on have 153.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (days, want) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (16_436, (2015, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), want, "{days}");
        }
    }
}
