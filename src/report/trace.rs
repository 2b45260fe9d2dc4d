//! One packet explained, there and back, in words.
//!
//! Holds how a round trip becomes the walks of a report. Refuses to walk: `forward::round_trip` does.

use super::names::Names;
use super::outcome::LegWalk;
use super::remedy::Remedy;
use super::told::{self, Ending, Line, Told};
use crate::forward::repair::{Ground, Way};
use crate::forward::round_trip::{Journey, RoundTrip};
use crate::forward::walk::End;
use crate::sim::{Leg, World};

/// The walks of a round trip, each with the names that things have now. What would help stands with
/// the last: it is the one that did not end as it should, if any did not.
/// Costs what a diagnosis does.
pub fn walks(trip: &RoundTrip, world: World<'_>) -> Vec<LegWalk> {
    let mut walks = vec![leg(&trip.there, world)];
    if let Some(back) = &trip.back {
        let mut walk = leg(back, world);
        if let Some(port) = trip.unserved {
            let subject = walk.told.sender.clone();
            let finding = format!("does not listen on port {port} and answers with a reset");
            walk.told.lines.insert(0, Line { subject, finding });
        }
        if trip.is_from_another() {
            let line = told::other_source(&back.walk.packet, &trip.there.packet);
            walk.told.lines.push(line);
        }
        walks.push(walk);
    }
    if let Some(last) = walks.last_mut() {
        let World { cloud, rows, memory, now } = world;
        let found = trip.diagnose(Ground { cloud, rows, memory, now });
        last.told.remedy = Remedy::of(&found, world);
    }
    walks
}

fn leg(journey: &Journey, world: World<'_>) -> LegWalk {
    let names = Names(world.cloud);
    let ending = match journey.walk.end {
        End::Delivered(at) if journey.meant.is_some_and(|meant| meant != at) => {
            Ending::Misdelivered { at: names.interface(at) }
        }
        End::Delivered(at) => Ending::Delivered { at: names.interface(at) },
        End::Dropped(reason, at) => Ending::Dropped {
            reason: reason.label(),
            aws_code: reason.aws_code(),
            at: names.location(at),
        },
    };
    let told = Told {
        at: world.now,
        sender: names.interface(journey.from),
        packet: told::packet(&journey.packet),
        ending,
        lines: told::lines(&journey.walk.steps, world),
        remedy: Remedy::default(),
    };
    let leg = match journey.way {
        Way::There => Leg::Request,
        Way::Back => Leg::Answer,
    };
    LegWalk { leg, told }
}
