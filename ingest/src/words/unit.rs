//! Units of measure: a closed table of the UCUM codes that city sensors use, and conversion between them.
//!
//! Source of the codes and factors: Schadow and McDonald, "The Unified Code for Units of Measure", 2.1 (2017).

use serde::{Deserialize, Serialize};

/// One unit of the table. Two units convert into each other when their dimension is the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Its UCUM code, case sensitive.
    pub code: &'static str,
    dimension: Dimension,
    factor: f64,
    offset: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Dimension {
    Number,
    Length,
    Temperature,
    Pressure,
    MassConcentration,
    Speed,
    Volume,
    Flow,
    Voltage,
    Current,
    Power,
    Energy,
    Frequency,
    SoundLevel,
    Illuminance,
    Time,
    Angle,
    RadonActivity,
    DoseRate,
    Acceleration,
    Acidity,
    Mass,
}

const fn unit(code: &'static str, dimension: Dimension, factor: f64) -> Unit {
    Unit {
        code,
        dimension,
        factor,
        offset: 0.0,
    }
}

/// The table. `factor` (and `offset` for temperatures) bring a value to the first unit of its dimension.
const UNITS: &[Unit] = &[
    unit("1", Dimension::Number, 1.0),
    unit("%", Dimension::Number, 1e-2),
    unit("[ppth]", Dimension::Number, 1e-3),
    unit("[ppm]", Dimension::Number, 1e-6),
    unit("[ppb]", Dimension::Number, 1e-9),
    unit("m", Dimension::Length, 1.0),
    unit("km", Dimension::Length, 1e3),
    unit("cm", Dimension::Length, 1e-2),
    unit("mm", Dimension::Length, 1e-3),
    unit("um", Dimension::Length, 1e-6),
    unit("[ft_i]", Dimension::Length, 0.3048),
    unit("[in_i]", Dimension::Length, 0.0254),
    unit("[mi_i]", Dimension::Length, 1609.344),
    unit("K", Dimension::Temperature, 1.0),
    Unit {
        code: "Cel",
        dimension: Dimension::Temperature,
        factor: 1.0,
        offset: 273.15,
    },
    Unit {
        code: "[degF]",
        dimension: Dimension::Temperature,
        factor: 5.0 / 9.0,
        offset: 459.67 * 5.0 / 9.0,
    },
    unit("Pa", Dimension::Pressure, 1.0),
    unit("hPa", Dimension::Pressure, 1e2),
    unit("kPa", Dimension::Pressure, 1e3),
    unit("bar", Dimension::Pressure, 1e5),
    unit("mbar", Dimension::Pressure, 1e2),
    unit("mm[Hg]", Dimension::Pressure, 133.322_387_415),
    unit("g/m3", Dimension::MassConcentration, 1.0),
    unit("kg/m3", Dimension::MassConcentration, 1e3),
    unit("mg/m3", Dimension::MassConcentration, 1e-3),
    unit("ug/m3", Dimension::MassConcentration, 1e-6),
    unit("ng/m3", Dimension::MassConcentration, 1e-9),
    unit("m/s", Dimension::Speed, 1.0),
    unit("km/h", Dimension::Speed, 1.0 / 3.6),
    unit("cm/s", Dimension::Speed, 1e-2),
    unit("mm/h", Dimension::Speed, 1e-3 / 3600.0),
    unit("mm/min", Dimension::Speed, 1e-3 / 60.0),
    unit("[kn_i]", Dimension::Speed, 1852.0 / 3600.0),
    unit("[mi_i]/h", Dimension::Speed, 0.44704),
    unit("m3", Dimension::Volume, 1.0),
    unit("L", Dimension::Volume, 1e-3),
    unit("mL", Dimension::Volume, 1e-6),
    unit("m3/s", Dimension::Flow, 1.0),
    unit("m3/h", Dimension::Flow, 1.0 / 3600.0),
    unit("L/s", Dimension::Flow, 1e-3),
    unit("L/min", Dimension::Flow, 1e-3 / 60.0),
    unit("V", Dimension::Voltage, 1.0),
    unit("mV", Dimension::Voltage, 1e-3),
    unit("kV", Dimension::Voltage, 1e3),
    unit("A", Dimension::Current, 1.0),
    unit("mA", Dimension::Current, 1e-3),
    unit("W", Dimension::Power, 1.0),
    unit("kW", Dimension::Power, 1e3),
    unit("MW", Dimension::Power, 1e6),
    unit("J", Dimension::Energy, 1.0),
    unit("kW.h", Dimension::Energy, 3.6e6),
    unit("W.h", Dimension::Energy, 3.6e3),
    unit("Hz", Dimension::Frequency, 1.0),
    unit("kHz", Dimension::Frequency, 1e3),
    unit("dB", Dimension::SoundLevel, 1.0),
    unit("dB[SPL]", Dimension::SoundLevel, 1.0),
    unit("lx", Dimension::Illuminance, 1.0),
    unit("s", Dimension::Time, 1.0),
    unit("ms", Dimension::Time, 1e-3),
    unit("min", Dimension::Time, 60.0),
    unit("h", Dimension::Time, 3600.0),
    unit("d", Dimension::Time, 86400.0),
    unit("deg", Dimension::Angle, 1.0),
    unit("rad", Dimension::Angle, 180.0 / std::f64::consts::PI),
    unit("Bq/m3", Dimension::RadonActivity, 1.0),
    unit("Sv/h", Dimension::DoseRate, 1.0),
    unit("mSv/h", Dimension::DoseRate, 1e-3),
    unit("uSv/h", Dimension::DoseRate, 1e-6),
    unit("nSv/h", Dimension::DoseRate, 1e-9),
    unit("m/s2", Dimension::Acceleration, 1.0),
    unit("cm/s2", Dimension::Acceleration, 1e-2),
    unit("[g]", Dimension::Acceleration, 9.80665),
    unit("[pH]", Dimension::Acidity, 1.0),
    unit("kg", Dimension::Mass, 1.0),
    unit("g", Dimension::Mass, 1e-3),
];

impl Unit {
    /// The unit that `code` names; `None` when it is not in the table. `µ` is read as UCUM's `u`, and `°C` as `Cel`.
    pub fn parse(code: &str) -> Option<&'static Self> {
        let find = |code: &str| UNITS.iter().find(|unit| unit.code == code);
        find(code).or_else(|| match code {
            "°C" => find("Cel"),
            "°F" => find("[degF]"),
            "" => None,
            other if other.contains(['µ', 'μ', '³']) => {
                find(&other.replace(['µ', 'μ'], "u").replace('³', "3"))
            }
            _ => None,
        })
    }

    /// Every code, for messages.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        UNITS.iter().map(|unit| unit.code)
    }

    /// `value` of this unit expressed in `target`; `None` when they measure different things.
    /// The same unit gives the same bits back.
    pub fn convert(&self, value: f64, target: &Self) -> Option<f64> {
        if self.code == target.code {
            return Some(value);
        }
        (self.dimension == target.dimension)
            .then(|| (value * self.factor + self.offset - target.offset) / target.factor)
    }
}

/// The codes of the unit table, for messages.
pub(crate) fn known_codes() -> String {
    Unit::codes().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
        Unit::parse(from)
            .unwrap()
            .convert(value, Unit::parse(to).unwrap())
    }

    #[test]
    fn known_conversions() {
        for (value, from, to, expected) in [
            (1.0, "[ft_i]", "m", 0.3048),
            (212.0, "[degF]", "Cel", 100.0),
            (0.0, "Cel", "K", 273.15),
            (1013.25, "hPa", "Pa", 101_325.0),
            (1.0, "mg/m3", "ug/m3", 1000.0),
            (36.0, "km/h", "m/s", 10.0),
            (5.0, "%", "1", 0.05),
        ] {
            let got = convert(value, from, to).unwrap();
            assert!(
                (got - expected).abs() <= 1e-9 * expected.abs(),
                "{value} {from} = {got} {to}"
            );
        }
        assert_eq!(convert(1.0, "m", "Pa"), None);
        assert_eq!(Unit::parse("µg/m³").unwrap().code, "ug/m3");
        assert!(Unit::parse("furlong").is_none());
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Unit::codes().collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
