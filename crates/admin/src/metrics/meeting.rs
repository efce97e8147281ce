//! The families of a relay whose clients are joined with those of other nodes.

use super::family::{Family, Kind, Value};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "couplet_engine_connected",
        kind: Kind::Gauge,
        help: "Whether the match-maker of several nodes answers; only where there is one",
        read: |relay, tell| match &relay.meeting {
            Some(meeting) => tell(&[], Value::Gauge((meeting.is_connected)().into())),
            None => Ok(()),
        },
    },
    Family {
        name: "couplet_meeting_offered",
        kind: Kind::Gauge,
        help: "Clients of this node that are offered to other nodes",
        read: |relay, tell| match &relay.meeting {
            Some(meeting) => tell(&[], Value::Gauge((meeting.offered)())),
            None => Ok(()),
        },
    },
    Family {
        name: "couplet_meeting_events_total",
        kind: Kind::Counter,
        help: "What happened between this node, the match-maker and other nodes",
        read: |relay, tell| {
            let events = relay.meeting.as_ref().map(|meeting| (meeting.events)());
            for (event, count) in events.unwrap_or_default() {
                tell(&[("event", event)], Value::Count(count))?;
            }
            Ok(())
        },
    },
];
