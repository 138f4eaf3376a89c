//! Corroboration: how sure one is that a hazard is there, from how many independent channels tell of it.
//!
//! Repeats by one source gain nothing, a class of channel alone never passes 1 − (1 − r)², and open channels together never
//! pass 0.9. Not modelled: one person in two channels, sensors that contradict each other.

use super::sensors::WARNING;

/// Classes of channels: sensor, field officer, camera, phone, app, web, social, other.
pub const CLASSES: usize = 8;
/// How far each class is believed before anything is known of it.
pub const PRIORS: [f64; CLASSES] = [0.8, 0.9, 0.7, 0.5, 0.4, 0.4, 0.2, 0.2];
/// The class of devices.
pub const SENSORS: usize = 0;
/// Channels that anybody can write into begin here.
const OPEN: usize = 3;
/// The most evidence of all open channels: ln 10, a belief of 0.9.
const MOST_OF_OPEN: f64 = std::f64::consts::LN_10;
/// What each further source, or device, adds beside the one before.
const NEXT: f64 = 0.5;

/// What is there of a device in reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    /// How far it is believed.
    pub reliability: f64,
    /// Its hazard index.
    pub hazard: f64,
    /// Its freshness.
    pub freshness: f64,
    /// The kernel's weight of the ring that it is in.
    pub weight: f64,
}

/// The evidence of one class: `x` is how many sources there are, faded by age and distance.
fn evidence(reliability: f64, sources: f64) -> f64 {
    // Of most classes nothing is heard in most cells.
    if sources == 0.0 {
        return 0.0;
    }
    -(1.0 - reliability).ln() * (1.0 - NEXT.powf(sources)) / (1.0 - NEXT)
}

/// The evidence of devices, the strongest first and each further one half as much.
fn evidence_of_devices(devices: &[Device]) -> f64 {
    let mut evidences: Vec<f64> = devices
        .iter()
        .map(|device| {
            -(1.0 - device.reliability).ln()
                * (device.hazard / WARNING).min(1.0)
                * device.freshness
                * device.weight
        })
        .collect();
    evidences.sort_by(|a, b| b.total_cmp(a));
    let mut share = 1.0;
    let mut total = 0.0;
    for evidence in evidences {
        total += share * evidence;
        share *= NEXT;
    }
    total
}

/// How sure, and by how many classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Corroboration {
    /// `C`, 0 to 1.
    pub belief: f64,
    /// Classes with any evidence.
    pub channels: u8,
}

/// C of the sources of each class (those of class 0 do not count: devices do) and of the devices in reach.
pub fn corroborate(
    sources: &[f64; CLASSES],
    reliabilities: &[f64; CLASSES],
    devices: &[Device],
) -> Corroboration {
    let mut evidences = [0.0; CLASSES];
    for ((evidence_of, sources), reliability) in evidences.iter_mut().zip(sources).zip(reliabilities) {
        *evidence_of = evidence(*reliability, *sources);
    }
    if let Some(of_devices) = evidences.get_mut(SENSORS) {
        *of_devices = evidence_of_devices(devices);
    }
    let (trusted, open) = evidences.split_at(OPEN);
    let all = trusted.iter().sum::<f64>() + open.iter().sum::<f64>().min(MOST_OF_OPEN);
    Corroboration {
        belief: 1.0 - (-all).exp(),
        channels: evidences.iter().filter(|evidence| **evidence > 0.0).count() as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PHONE: usize = 3;

    fn by_phone(sources: f64, devices: &[Device]) -> f64 {
        let mut of_classes = [0.0; CLASSES];
        of_classes[PHONE] = sources;
        corroborate(&of_classes, &PRIORS, devices).belief
    }

    fn sensor(freshness: f64) -> Device {
        Device {
            reliability: 0.8,
            hazard: 0.9,
            freshness,
            weight: 1.0,
        }
    }

    #[test]
    fn the_cases_of_the_model_come_out() {
        let three = by_phone(3.0, &[]);
        for (is, should) in [
            // Ten messages from one phone are one source.
            (by_phone(1.0, &[]), 0.5),
            (three, 0.702_698_221_249),
            (by_phone(8.0, &[]), 0.748_642_524_722),
            (
                by_phone(
                    0.0,
                    &[Device {
                        hazard: 0.4,
                        ..sensor(1.0)
                    }],
                ),
                0.8,
            ),
            (by_phone(3.0, &[sensor(1.0)]), 0.940_539_644_250),
            (by_phone(1.5, &[sensor(0.5)]), 0.817_477_941_652),
        ] {
            assert!((is - should).abs() < 1e-12, "{is} {should}");
        }
    }

    #[test]
    fn reports_of_devices_count_only_as_devices() {
        let mut sources = [0.0; CLASSES];
        sources[SENSORS] = 5.0;
        assert_eq!(corroborate(&sources, &PRIORS, &[]), Corroboration::default());
        assert_eq!(corroborate(&sources, &PRIORS, &[sensor(1.0)]).channels, 1);
    }

    proptest! {
        #[test]
        fn open_channels_alone_never_pass_nine_tenths(sources in prop::array::uniform8(0.0..8.0_f64)) {
            let mut open = sources;
            open[..OPEN].fill(0.0);
            prop_assert!(corroborate(&open, &PRIORS, &[]).belief <= 0.9 + 1e-12);
            for class in OPEN..CLASSES {
                let mut one = [0.0; CLASSES];
                one[class] = sources[class];
                prop_assert!(corroborate(&one, &PRIORS, &[]).belief <= 1.0 - (1.0 - PRIORS[class]).powi(2) + 1e-12);
            }
        }
    }
}
