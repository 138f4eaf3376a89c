//! When the server is killed: drawn from a seed that is printed, so that a failure can be repeated.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use riskgrid_fixtures::random::SplitMix64;

/// A few, as `./test` has time for; `just crash` asks for more.
const KILLS: u64 = 3;
const EVENTS: u64 = 100_000;
/// Sending lasts so long for each kill, so that most of them come while events are sent.
const SECONDS_A_KILL: u64 = 2;

/// How many events, and when the kills come.
pub(crate) struct Plan {
    pub(crate) events: u64,
    seed: u64,
    pub(super) kills: Vec<Kill>,
}

/// One kill.
#[derive(Debug)]
pub(super) struct Kill {
    /// Not before so many events are read.
    pub(super) after: u64,
    pub(super) moment: Moment,
}

/// What the server is doing then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// Whatever it does.
    Reading,
    /// Writing a checkpoint.
    Checkpoint,
    /// After one kill it is started, and killed again after this share of the time that a start takes.
    StartUp(f64),
}

impl Plan {
    /// `RISKGRID_CRASH_KILLS`, `RISKGRID_CRASH_EVENTS` and `RISKGRID_CRASH_SEED`, or few, few and a new one.
    pub(crate) fn from_environment() -> Self {
        let seed = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(since.subsec_nanos())
        };
        let kills = number("RISKGRID_CRASH_KILLS").unwrap_or(KILLS).max(1);
        Self::new(
            kills,
            number("RISKGRID_CRASH_EVENTS").unwrap_or(EVENTS),
            number("RISKGRID_CRASH_SEED").unwrap_or_else(seed),
        )
    }

    fn new(kills: u64, events: u64, seed: u64) -> Self {
        let mut random = SplitMix64::stream(seed, 0xC4A5);
        // Bad lines may not be among those read, so the last kill comes somewhat before the end.
        let mut moments: Vec<u64> = (0..kills)
            .map(|_| (events as f64 * random.between(0.02, 0.95)) as u64)
            .collect();
        moments.sort_unstable();
        let kills = moments.into_iter().enumerate().map(|(index, after)| Kill {
            after,
            // Each kind comes up, however few there are.
            moment: match index % 3 {
                0 => Moment::Reading,
                1 => Moment::Checkpoint,
                _ => Moment::StartUp(random.unit()),
            },
        });
        Self {
            events,
            seed,
            kills: kills.collect(),
        }
    }

    /// `storage.checkpoint_every`: short, so that a kill lands after some checkpoint and before the next; longer for many
    /// events, as each checkpoint writes all open calls.
    pub(crate) fn checkpoint_every(&self) -> String {
        format!("{}ms", (self.events / 1000).clamp(50, 1000))
    }

    /// What `riskgrid generate` is told, beside where to send.
    pub(super) fn flags(&self) -> Vec<String> {
        let rate = self.events / (SECONDS_A_KILL * self.kills.len() as u64).max(1);
        let flags = format!(
            "--events {} --seed {} --span 2h --rate {} --late 0.05 --duplicates 0.02 --bad 0.01",
            self.events,
            self.seed,
            rate.max(1)
        );
        flags.split(' ').map(str::to_owned).collect()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "again with RISKGRID_CRASH_SEED={} RISKGRID_CRASH_KILLS={} RISKGRID_CRASH_EVENTS={}",
            self.seed,
            self.kills.len(),
            self.events
        )?;
        for kill in &self.kills {
            writeln!(
                formatter,
                "  killed after {} events: {:?}",
                kill.after, kill.moment
            )?;
        }
        Ok(())
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} must be a whole number, not {text}")))
}
