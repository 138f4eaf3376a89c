# The same commands by hand as in CI. `just` alone lists them.

# the list of recipes
default:
    @just --list

# format and clippy
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# all set-up and all tests; `just test --fast` for those without Kafka, data and browser
test *arguments:
    ./test {{arguments}}

# a simulated typhoon day over an invented city
demo *arguments:
    cargo run --release -- demo {{arguments}}

# every question of benches/, one after the other; `just bench --bench restart` asks one. Kafka as for the tests
bench *arguments="--bench '*'":
    cargo build --release --locked
    cargo bench --package riskgrid-benches --locked {{arguments}}

# kill -9 in the middle, on the journal and on Kafka, and count again
crash:
    ./test crash

# licences, bans, sources and advisories; installs cargo-deny at the first time (about 2 minutes on two cores)
deny:
    command -v cargo-deny > /dev/null || cargo install cargo-deny --locked --version 0.20.2
    cargo deny check
