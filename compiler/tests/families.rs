//! An array of instances means what as many instances written one by one mean: same values, bit for bit;
//! and costs no more to compile the longer it is.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use cpu_time::ThreadTime;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Compiled, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;

fn compile(text: &str) -> Compiled {
    let mut session = Session::check("test.twinml", text, &MemoryLoader::new());
    let done = session.compile(Choice { keep_system: true, ..Choice::default() }, &mut NoData);
    done.unwrap_or_else(|| {
        panic!("{}\n{text}", render_all(&session.diags, &session.sources, Style::default()))
    })
}

/// Values (and derivatives of states) by path at a time, after the start.
fn values(c: &Compiled, time: f64) -> BTreeMap<String, u64> {
    twinml_model::verify::verify(&c.program).unwrap();
    let mut memory = Memory::new(&c.program);
    let machine = Interpreter::new(&c.program);
    let mut go = |k| machine.run(k, &mut memory, &mut NoHost).unwrap();
    go(KernelId::Params);
    go(KernelId::Initial);
    memory.set_time(time);
    let mut go = |k| machine.run(k, &mut memory, &mut NoHost).unwrap();
    go(KernelId::Update);
    let next = memory.space(Space::Next).to_vec();
    memory.space_mut(Space::Disc).copy_from_slice(&next);
    let mut go = |k| machine.run(k, &mut memory, &mut NoHost).unwrap();
    go(KernelId::Rhs);
    go(KernelId::Outputs);
    let mut out = BTreeMap::new();
    for v in &c.program.schema.vars {
        for k in 0..v.len {
            let slot = (v.base + k) as usize;
            out.insert(v.element_path(k), memory.space(v.space)[slot].to_bits());
            if v.space == Space::State {
                out.insert(format!("der({})", v.element_path(k)), memory.space(Space::Der)[slot].to_bits());
            }
        }
    }
    out
}

/// `p[3].x` of the family is `p3.x` of the single ones.
fn single(path: &str, name: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find(&format!("{name}[")) {
        let (head, tail) = rest.split_at(at);
        let close = tail.find(']').unwrap();
        out += head;
        out += name;
        out += &tail[name.len() + 1..close];
        rest = &tail[close + 1..];
    }
    out + rest
}

#[track_caller]
fn same(family: &str, singles: &str, name: &str) {
    let (a, b) = (compile(family), compile(singles));
    for time in [0.0, 0.7, 13.25] {
        let (a, b) = (values(&a, time), values(&b, time));
        let renamed: BTreeMap<String, u64> = a.into_iter().map(|(k, v)| (single(&k, name), v)).collect();
        assert!(renamed.len() > 4);
        for (path, bits) in &renamed {
            let other = b.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", b.keys()));
            assert_eq!(f64::from_bits(*bits), f64::from_bits(*other), "{path} at {time}");
            assert_eq!(bits, other, "{path} at {time}");
        }
        assert_eq!(renamed.len(), b.len());
    }
}

const TANK: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; k: Real[m^2.5/s] = 0.012; f: Real = k/area*1 [m^-0.5*s] }
  inputs  { q_in: VolumeFlow = 0.003 m^3/s; open: Bool = true }
  outputs { q_out: VolumeFlow; level: Real[1][2] = [h/1 m, f*sin(time/1 s)] }
  states  { h: Length = 1 m }
  equations {
    q_out = if open then k*sqrt(h) else 0 m^3/s
    area*der(h) = q_in - q_out
  }
}
";

#[test]
fn a_chain_of_tanks() {
    for n in [1usize, 2, 3, 4, 7] {
        let family = format!(
            "{TANK}
system twin Farm {{
  twins {{ t: Tank[{n}] {{ area = (1 + 0.1*i)*1 m^2 for i; h = 0.5 m + 0.25 m * i for i; open = i != 2 for i }} }}
  connections {{ for i in 0..{n}-1 {{ t[i].q_out -> t[i+1].q_in }} }}
  outputs {{ total: Length = sum(t.h); top: Length = max(t.h); all_open: Bool = all(t.open) }}
}}"
        );
        let mut singles = format!("{TANK}\nsystem twin Farm {{\n  twins {{\n");
        for i in 0..n {
            let open = i != 2;
            let _ = writeln!(
                singles,
                "    t{i}: Tank {{ area = (1 + 0.1*{i})*1 m^2; h = 0.5 m + 0.25 m * {i}; open = {open} }}"
            );
        }
        singles += "  }\n  connections {\n";
        for i in 1..n {
            let _ = writeln!(singles, "    t{}.q_out -> t{i}.q_in", i - 1);
        }
        let list = |member: &str| (0..n).map(|i| format!("t{i}.{member}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            singles,
            "  }}\n  outputs {{ total: Length = sum([{}]); top: Length = max([{}]); all_open: Bool = all([{}]) }}\n}}",
            list("h"),
            list("h"),
            list("open")
        );
        same(&family, &singles, "t");
    }
}

#[test]
fn overrides_of_all_kinds() {
    let part = "
twin P {
  parameters { a: Real = 1; b: Real = 2*a; v: Real[1][3] = [a, b, 7] }
  states { x: Real = v[1] }
  equations { der(x) = (a*x + b*sum(v) + mod(x, 2))/1 s }
}
twin Q { parameters { z: Real = 5 } twins { p: P { a = z } } outputs { s: Real = p.x*z } }
";
    let family = format!(
        "{part}
twin R {{
  parameters {{ k: Real = 3 }}
  twins {{ q: Q[5] {{ z = [1, 4, 9, 16, 25]; p.b = k*i for i; p.v = [i, 2, k] for i }} }}
}}
twin S {{ extends R {{ k = 4; q[3].p.b = 77; q[1..3].p.x = 0.5 }} }}"
    );
    let mut singles = format!("{part}\ntwin S {{\n  parameters {{ k: Real = 4 }}\n  twins {{\n");
    for i in 0..5 {
        let z = (i + 1) * (i + 1);
        let b = if i == 3 { "77".to_owned() } else { format!("k*{i}") };
        let x = if (1..3).contains(&i) { "; p.x = 0.5" } else { "" };
        let _ = writeln!(singles, "    q{i}: Q {{ z = {z}; p.b = {b}; p.v = [{i}, 2, k]{x} }}");
    }
    singles += "  }\n}\n";
    same(&family, &singles, "q");
}

#[test]
fn a_grid_and_its_neighbours() {
    let (n, m) = (4usize, 5usize);
    let cell = "
twin Cell {
  inputs { north: Real = 1; south: Real = 0; east: Real = 0.25; west: Real = 0.75 }
  states { x: Real = 0.1 }
  equations { der(x) = (north + south + east + west - 4*x)/1 s }
}
";
    let family = format!(
        "{cell}
twin Grid {{
  twins {{ c: Cell[{n}, {m}] {{ x = sin(i + 3*j) for (i, j) }} }}
  connections {{
    for i in 0..{n} {{ for j in 0..{m} - 1 {{ c[i, j].x -> c[i, j+1].west; c[i, j+1].x -> c[i, j].east }} }}
    for i in 0..{n} - 1 {{ for j in 0..{m} {{ c[i, j].x -> c[i+1, j].north; c[i+1, j].x -> c[i, j].south }} }}
  }}
}}"
    );
    let mut singles = format!("{cell}\ntwin Grid {{\n  twins {{\n");
    for i in 0..n {
        for j in 0..m {
            let _ = writeln!(singles, "    `c{i},{j}`: Cell {{ x = sin({i} + 3*{j}) }}");
        }
    }
    singles += "  }\n  connections {\n";
    for i in 0..n {
        for j in 0..m {
            if j + 1 < m {
                let _ = writeln!(singles, "    `c{i},{j}`.x -> `c{i},{}`.west", j + 1);
                let _ = writeln!(singles, "    `c{i},{}`.x -> `c{i},{j}`.east", j + 1);
            }
            if i + 1 < n {
                let _ = writeln!(singles, "    `c{i},{j}`.x -> `c{},{j}`.north", i + 1);
                let _ = writeln!(singles, "    `c{},{j}`.x -> `c{i},{j}`.south", i + 1);
            }
        }
    }
    singles += "  }\n}\n";
    same(&family, &singles, "c");
}

const PLAIN: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; k: Real[m^2.5/s] = 0.012 }
  inputs  { q_in: VolumeFlow = 0.003 m^3/s }
  outputs { q_out: VolumeFlow = k*sqrt(h) }
  states  { h: Length = 1 m }
  equations { area*der(h) = q_in - q_out }
}
";

#[test]
fn inputs_driven_in_a_pattern() {
    let part = "
twin P { parameters { d: Real = 0.5 } inputs { u: Real = d } states { x: Real = 1 } equations { der(x) = (u - x)/1 s } }
";
    for n in [6usize, 90] {
        let family = format!(
            "{part}
twin R {{
  twins {{ q: P[{n}] {{ x = sin(i) for i; d = 0.1*i for i }} }}
  connections {{ for i in 0..{n} / 2 {{ q[mod(5*i + 1, {n})].x -> q[2*i].u }} }}
}}"
        )
        .replace("/ 2", if n == 6 { "- 3" } else { "- 45" });
        let mut singles = format!("{part}\ntwin R {{\n  twins {{\n");
        for i in 0..n {
            let _ = writeln!(singles, "    q{i}: P {{ x = sin({i}); d = 0.1*{i} }}");
        }
        singles += "  }\n  connections {\n";
        for i in 0..n / 2 {
            let _ = writeln!(singles, "    q{}.x -> q{}.u", (5 * i + 1) % n, 2 * i);
        }
        singles += "  }\n}\n";
        same(&family, &singles, "q");
    }
}

/// Smallest of a few times.
fn cost(text: &str) -> Duration {
    (0..5)
        .map(|_| {
            let start = ThreadTime::now();
            compile(text);
            start.elapsed()
        })
        .min()
        .unwrap()
}

#[test]
fn chains_grids_and_stars_compile_in_the_same_time_at_any_length() {
    type Model = (&'static str, fn(u32) -> String);
    let models: [Model; 3] = [
        ("chain", |n| {
            format!(
                "{PLAIN}
twin Farm {{
  twins {{ t: Tank[{n}] {{ area = (1 + 0.1*i)*1 m^2 for i }} }}
  connections {{ for i in 0..{n}-1 {{ t[i].q_out -> t[i+1].q_in }} }}
  outputs {{ total: Length = sum(t.h) }}
}}"
            )
        }),
        ("star", |n| {
            format!(
                "{PLAIN}
twin Farm {{
  twins {{ hub: Tank; t: Tank[{n}] }}
  connections {{ hub.q_out -> t.q_in }}
  equations {{ hub.q_in = mean(t.q_out) }}
}}"
            )
        }),
        ("grid", |n| {
            let m = f64::from(n).sqrt() as u32;
            format!(
                "
twin Cell {{
  inputs {{ north: Real = 1; west: Real = 0.75 }}
  states {{ x: Real = 0.1 }}
  equations {{ der(x) = (north + west - 2*x)/1 s }}
}}
twin Grid {{
  twins {{ c: Cell[{m}, {m}] }}
  connections {{
    for i in 0..{m} {{ for j in 0..{m} - 1 {{ c[i, j].x -> c[i, j+1].west }} }}
    for i in 0..{m} - 1 {{ for j in 0..{m} {{ c[i, j].x -> c[i+1, j].north }} }}
  }}
}}"
            )
        }),
    ];
    for (name, model) in models {
        let (small, large) = (model(16), model(100_000));
        let (a, b) = (compile(&small).system.unwrap(), compile(&large).system.unwrap());
        assert_eq!(a.equations.len(), b.equations.len(), "{name}");
        let pieces = |s: &twinml_compiler::flat::System| s.vars.iter().map(|v| v.value.len()).sum::<usize>();
        assert_eq!(pieces(&a), pieces(&b), "{name}");
        assert!(b.expanded.is_empty(), "{name}: {:?}", b.expanded);
        // Neither does the code of derivatives grow.
        let code = |n: u32| {
            let mut p = compile(&model(n)).program;
            twinml_model::passes::derive::complete(&mut p);
            let values = |k: &Option<twinml_model::ir::Kernel>| k.as_ref().map(|k| k.values.len());
            let j = p.jacobian.as_ref().map(|j| j.kernel.values.len());
            assert!(j.is_some(), "{name} of {n}");
            (j, values(&p.jvp))
        };
        assert_eq!(code(16), code(400), "{name}");
        assert_eq!(code(400), code(102_400), "{name}");
        let (short, long) = (cost(&small), cost(&large));
        eprintln!("{name}: 16: {short:?}, 100000: {long:?}");
        // Room for a busy machine; anything linear would be a thousand times slower.
        assert!(long < short * 10 + Duration::from_millis(20), "{name}: {short:?} and {long:?}");
    }
}
