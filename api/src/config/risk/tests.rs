use crate::config::Config;

/// What the configuration is told with this `[risk]`.
fn said(risk: &str) -> Result<Option<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let square = |id: &str, west: f64, people: u32| {
        let east = west + 0.02;
        format!(
            r#"{{"type":"Feature","properties":{{"id":"{id}","people":{people}}},"geometry":{{"type":"Polygon","coordinates":
            [[[{west},22.53],[{east},22.53],[{east},22.55],[{west},22.55],[{west},22.53]]]}}}}"#
        )
    };
    let areas = |features: &[String]| {
        format!(
            r#"{{"type":"FeatureCollection","features":[{}]}}"#,
            features.join(",")
        )
    };
    std::fs::write(
        folder.path().join("districts.geojson"),
        areas(&[square("east", 113.95, 900), square("west", 113.93, 100)]),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("city.geojson"),
        areas(&[square("city", 113.93, 1000)]),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("poverty.csv"),
        "area,poor\neast,0.1\nwest,0.4\n",
    )
    .unwrap();
    let file = folder.path().join("riskgrid.toml");
    let whole = format!(
        "[[layers]]\nid = \"noise\"\nkind = \"report\"\n[[areas]]\nlevel = \"district\"\nfile = \"districts.geojson\"\nid = \"id\"\n\
         name = \"id\"\npopulation = \"people\"\n{risk}\n"
    );
    std::fs::write(&file, whole).unwrap();
    let checked = Config::load(Some(&file), &[]).and_then(crate::config::Loaded::check);
    checked
        .map(|checked| checked.risk.map(|engine| engine.model().hash.clone()))
        .map_err(|error| error.to_string())
}

const NOISE: &str = "[risk.layers.noise]\nhalf_life = \"6h\"\nhalf_level = 3.0\n";

#[test]
fn without_layers_there_is_no_surface() {
    assert_eq!(said(""), Ok(None));
    assert_eq!(said("[risk]\nrings = 0\n"), Ok(None));
}

#[test]
fn the_model_is_named_by_a_hash_of_all_keys() {
    let one = said(NOISE).unwrap().unwrap();
    assert_eq!(said(NOISE).unwrap().unwrap(), one);
    assert_ne!(
        said(&format!("[risk]\nsigma = 0.7\n{NOISE}")).unwrap().unwrap(),
        one
    );
    // A default that is written changes nothing.
    assert_eq!(
        said(&format!("[risk]\nsigma = 0.6\n{NOISE}")).unwrap().unwrap(),
        one
    );
}

#[test]
fn all_keys_of_the_model_are_read() {
    let all = "[risk]\ndomain = \"east\"\nseverity_factor = 0.4\nrings = 2\nsigma = 0.8\ndispersion = 3\nsurprise_weight = 0.5\n\
        forecast = \"6h\"\n[risk.groups]\nflood = [\"water_level\", \"flooding\"]\n\
        [risk.layers.flooding]\nhalf_life = \"3h\"\nhalf_level = 2\nweight = 2\ndomain = \"west\"\nrings = 0\nsigma = 0.5\n\
        dispersion = 1.5\nsurprise_weight = 0\n\
        [risk.layers.water_level]\nhalf_life = \"3h\"\nlevels = [[3.0, 0.0], [2.0, 0.4]]\nvalid_for = \"30m\"\ndirection = \"down\"\n\
        sensors = { \"gauge-2\" = [[2.2, 0.0], [1.0, 0.4]] }\n\
        [risk.exposure]\nfacilities = { hospital = 3.0 }\ninfrastructure = { substation = 2.0 }\n\
        [[risk.susceptibility]]\nfile = \"poverty.csv\"\narea = \"area\"\nvalue = \"poor\"\nlo = 0\nhi = 0.5\nweight = 2\n\
        [[risk.coping]]\nkind = \"hospital\"\ndistance = 2\nweight = 2\n[[risk.coping]]\nskill = \"pump\"\ndistance = 3\n";
    said(all).unwrap().unwrap();
}

#[test]
fn what_is_wrong_is_told_by_its_key() {
    let layer = |keys: &str| format!("[risk.layers.noise]\n{keys}\n");
    let sensors = |keys: &str| format!("[risk.layers.pm10]\nhalf_life = \"2h\"\n{keys}\n");
    let second = "[[areas]]\nlevel = \"city\"\nfile = \"city.geojson\"\nid = \"id\"\nname = \"id\"\npopulation = \"people\"\n";
    for (risk, key) in [
        (format!("[risk]\nringss = 1\n{NOISE}"), "ringss"),
        (format!("[risk]\nrings = 9\n{NOISE}"), "`risk.rings` is 9"),
        (format!("[risk]\nsigma = 0\n{NOISE}"), "`risk.sigma` is 0"),
        (
            format!("[risk]\nsurprise_weight = 1.5\n{NOISE}"),
            "`risk.surprise_weight` is 1.5",
        ),
        (format!("[risk]\nforecast = \"1y\"\n{NOISE}"), "`risk.forecast`"),
        (
            format!("[risk]\ndomain = \"north\"\n{NOISE}"),
            "`risk.domain` is `north`",
        ),
        (
            layer("half_life = \"9m\"\nhalf_level = 3"),
            "`risk.layers.noise.half_life` is 9m",
        ),
        (
            layer("half_life = \"31d\"\nhalf_level = 3"),
            "`risk.layers.noise.half_life`",
        ),
        (layer("half_level = 3"), "half_life"),
        (
            layer("half_life = \"6h\""),
            "`risk.layers.noise` needs `half_level`",
        ),
        (
            layer("half_life = \"6h\"\nhalf_level = -1"),
            "`risk.layers.noise.half_level` is -1",
        ),
        (layer("half_life = \"6h\"\nhalf_level = 3\nspeed = 1"), "speed"),
        (
            layer("half_life = \"6h\"\nlevels = [[0, 0], [1, 1]]\nvalid_for = \"1h\""),
            "`risk.layers.noise.levels`",
        ),
        (
            layer("half_life = \"6h\"\nhalf_level = 3\nvalid_for = \"1h\""),
            "`risk.layers.noise.valid_for`",
        ),
        (
            sensors("levels = [[9, 0], [8, 0.4]]\nvalid_for = \"1h\""),
            "`risk.layers.pm10.levels`: the value 8 comes after 9",
        ),
        (
            sensors("levels = [[9, 0], [10, 0.4]]"),
            "`levels` and `valid_for`",
        ),
        (
            sensors("levels = [[9, 0], [10, 0.4]]\nvalid_for = \"1h\"\nsensors = { a = [[1, 0]] }"),
            "`risk.layers.pm10.sensors.a`",
        ),
        (
            format!("{NOISE}[risk.groups]\na = [\"noise\"]\nb = [\"noise\"]\n"),
            "`risk.groups.b` names `noise`",
        ),
        (
            format!("{NOISE}[risk.groups]\na = [\"noize\"]\n"),
            "`risk.groups.a` names `noize`",
        ),
        (
            format!("{NOISE}[risk.exposure]\nfacilities = {{ hospital = -3 }}\n"),
            "`risk.exposure.facilities.hospital`",
        ),
        (
            format!("{NOISE}[[risk.coping]]\ndistance = 2\n"),
            "`risk.coping[0]`",
        ),
        (
            format!("{NOISE}[[risk.coping]]\nkind = \"hospital\"\ndistance = 0\n"),
            "`risk.coping[0].distance`",
        ),
        (
            format!(
                "{NOISE}[[risk.susceptibility]]\nfile = \"poverty.csv\"\narea = \"area\"\nvalue = \"poor\"\nlo = 1\nhi = 1\n"
            ),
            "`risk.susceptibility[0].hi`",
        ),
        (
            format!(
                "{NOISE}[[risk.susceptibility]]\nfile = \"absent.csv\"\narea = \"area\"\nvalue = \"poor\"\nlo = 0\nhi = 1\n"
            ),
            "absent.csv",
        ),
        (format!("{second}{NOISE}"), "`city` and `west` overlap"),
    ] {
        let error = said(&risk).unwrap_err();
        assert!(error.contains(key), "{risk}\n{error}");
    }
}
