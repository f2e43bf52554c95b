use super::{check, refuse};
use expect_test::expect;

const PARTS: &str = "
connector Pin { potential v: Voltage; flow i: Current }
twin R { ports { p: Pin; n: Pin } equations { p.v - n.v = 2 ohm*p.i; p.i + n.i = 0 A } }
twin G { ports { p: Pin } equations { p.v = 0 V } }
";

#[track_caller]
fn network(text: &str, want: expect_test::Expect) {
    check(&format!("{PARTS}{text}"), want);
}

/// A chain stays two families of connections, however long it is.
#[test]
fn chains() {
    network(
        "twin C { twins { r: R[1000]; g: G }
           connections { for k in 0..999 { r[k].n -- r[k + 1].p }  r[999].n -- g.p } }",
        expect![[r#"
            flat C
            network

            var r[1000].p.v : unknown
            var r[1000].p.i : unknown
            var r[1000].n.v : unknown
            var r[1000].n.i : unknown
            var g.p.v : unknown
            var g.p.i : unknown

            eq owner "r[*]" for i0 in 0..1000 : r.p.v[i0] - r.n.v[i0] = 2.0 * r.p.i[i0]
            eq owner "r[*]" for i0 in 0..1000 : r.p.i[i0] + r.n.i[i0] = 0.0
            eq owner "g" : g.p.v = 0.0
            eq owner "r[*]" : r.p.i[0] = 0.0
            eq for i0 in 0..999 : r.n.v[i0] = r.p.v[i0 + 1]
            eq : r.n.v[999] = g.p.v
            eq for i0 in 0..999 : r.p.i[i0 + 1] + r.n.i[i0] = 0.0
            eq : r.n.i[999] + g.p.i = 0.0
        "#]],
    );
}

/// The port's own side and the one seen from inside: each flow in a sum of its own, with opposite signs.
#[test]
fn ports_handed_on() {
    network(
        "twin Pair { ports { p: Pin; n: Pin } twins { a: R; b: R } connections { p -- a.p; a.n -- b.p; b.n -- n } }
         twin C { twins { x: Pair[3]; g: G } connections { x[0].p -- g.p; for k in 0..2 { x[k].n -- x[k + 1].p } } }",
        expect![[r#"
            flat C
            network

            var x[3].p.v : unknown
            var x[3].p.i : unknown
            var x[3].n.v : unknown
            var x[3].n.i : unknown
            var x[3].a.p.v : unknown
            var x[3].a.p.i : unknown
            var x[3].a.n.v : unknown
            var x[3].a.n.i : unknown
            var x[3].b.p.v : unknown
            var x[3].b.p.i : unknown
            var x[3].b.n.v : unknown
            var x[3].b.n.i : unknown
            var g.p.v : unknown
            var g.p.i : unknown

            eq owner "x[*].a" for i0 in 0..3 : x.a.p.v[i0] - x.a.n.v[i0] = 2.0 * x.a.p.i[i0]
            eq owner "x[*].a" for i0 in 0..3 : x.a.p.i[i0] + x.a.n.i[i0] = 0.0
            eq owner "x[*].b" for i0 in 0..3 : x.b.p.v[i0] - x.b.n.v[i0] = 2.0 * x.b.p.i[i0]
            eq owner "x[*].b" for i0 in 0..3 : x.b.p.i[i0] + x.b.n.i[i0] = 0.0
            eq owner "g" : g.p.v = 0.0
            eq owner "x[*]" : x.n.i[2] = 0.0
            eq : x.p.v[0] = g.p.v
            eq for i0 in 0..2 : x.n.v[i0] = x.p.v[i0 + 1]
            eq owner "x[*]" for i0 in 0..3 : x.p.v[i0] = x.a.p.v[i0]
            eq owner "x[*]" for i0 in 0..3 : x.a.n.v[i0] = x.b.p.v[i0]
            eq owner "x[*]" for i0 in 0..3 : x.b.n.v[i0] = x.n.v[i0]
            eq : x.p.i[0] + g.p.i = 0.0
            eq : x.p.i[1] + x.n.i[0] = 0.0
            eq : x.p.i[2] + x.n.i[1] = 0.0
            eq owner "x[*]" : -x.p.i[0] + x.a.p.i[0] = 0.0
            eq owner "x[*]" : -x.p.i[1] + x.a.p.i[1] = 0.0
            eq owner "x[*]" : -x.p.i[2] + x.a.p.i[2] = 0.0
            eq owner "x[*]" : x.a.n.i[0] + x.b.p.i[0] = 0.0
            eq owner "x[*]" : x.a.n.i[1] + x.b.p.i[1] = 0.0
            eq owner "x[*]" : x.a.n.i[2] + x.b.p.i[2] = 0.0
            eq owner "x[*]" : -x.n.i[0] + x.b.n.i[0] = 0.0
            eq owner "x[*]" : -x.n.i[1] + x.b.n.i[1] = 0.0
            eq owner "x[*]" : -x.n.i[2] + x.b.n.i[2] = 0.0
        "#]],
    );
}

/// A connection that closes a ring, or stands twice, or joins a port with itself, adds nothing.
#[test]
fn connections_that_say_nothing_new() {
    network(
        "twin C { twins { a: R; b: R; g: G }
           connections { a.p -- b.p; b.p -- g.p; g.p -- a.p; a.p -- b.p; a.n -- a.n; b.n -- b.n } }",
        expect![[r#"
            flat C
            network

            var a.p.v : unknown
            var a.p.i : unknown
            var a.n.v : unknown
            var a.n.i : unknown
            var b.p.v : unknown
            var b.p.i : unknown
            var b.n.v : unknown
            var b.n.i : unknown
            var g.p.v : unknown
            var g.p.i : unknown

            eq owner "a" : a.p.v - a.n.v = 2.0 * a.p.i
            eq owner "a" : a.p.i + a.n.i = 0.0
            eq owner "b" : b.p.v - b.n.v = 2.0 * b.p.i
            eq owner "b" : b.p.i + b.n.i = 0.0
            eq owner "g" : g.p.v = 0.0
            eq owner "a" : a.n.i = 0.0
            eq owner "b" : b.n.i = 0.0
            eq : a.p.v = b.p.v
            eq : b.p.v = g.p.v
            eq : a.p.i + b.p.i + g.p.i = 0.0
        "#]],
    );
}

/// A plane of cells: a family for the rows and one for the columns; what is open at the edges.
#[test]
fn planes() {
    network(
        "connector Heat { potential T: Real; flow q: Real }
         twin Cell { ports { w: Heat; e: Heat; n: Heat; s: Heat } states { T: Real = 0 }
           equations { w.q = w.T - T; e.q = e.T - T; n.q = n.T - T; s.q = s.T - T; der(T) = 1 [1/s]*(w.q + e.q + n.q + s.q) } }
         twin C { twins { c: Cell[5, 6] }
           connections {
             for i in 0..5 { for j in 0..5 { c[i, j].e -- c[i, j + 1].w } }
             for i in 0..4 { for j in 0..6 { c[i, j].s -- c[i + 1, j].n } }
           } }",
        expect![[r#"
            flat C
            network

            var c[5, 6].T : state fixed
              value for i0 in 0..5, i1 in 0..6 @[6*i0 + i1] = 0.0
            var c[5, 6].w.T : unknown
            var c[5, 6].w.q : unknown
            var c[5, 6].e.T : unknown
            var c[5, 6].e.q : unknown
            var c[5, 6].n.T : unknown
            var c[5, 6].n.q : unknown
            var c[5, 6].s.T : unknown
            var c[5, 6].s.q : unknown

            eq owner "c[*,*]" for i0 in 0..5, i1 in 0..6 : c.w.q[6*i0 + i1] = c.w.T[6*i0 + i1] - c.T[6*i0 + i1]
            eq owner "c[*,*]" for i0 in 0..5, i1 in 0..6 : c.e.q[6*i0 + i1] = c.e.T[6*i0 + i1] - c.T[6*i0 + i1]
            eq owner "c[*,*]" for i0 in 0..5, i1 in 0..6 : c.n.q[6*i0 + i1] = c.n.T[6*i0 + i1] - c.T[6*i0 + i1]
            eq owner "c[*,*]" for i0 in 0..5, i1 in 0..6 : c.s.q[6*i0 + i1] = c.s.T[6*i0 + i1] - c.T[6*i0 + i1]
            eq owner "c[*,*]" for i0 in 0..5, i1 in 0..6 : der(c.T[6*i0 + i1]) = c.w.q[6*i0 + i1] + c.e.q[6*i0 + i1] + c.n.q[6*i0 + i1] + c.s.q[6*i0 + i1]
            eq owner "c[*,*]" : c.w.q[0] = 0.0
            eq owner "c[*,*]" : c.w.q[6] = 0.0
            eq owner "c[*,*]" : c.w.q[12] = 0.0
            eq owner "c[*,*]" : c.w.q[18] = 0.0
            eq owner "c[*,*]" : c.w.q[24] = 0.0
            eq owner "c[*,*]" : c.e.q[5] = 0.0
            eq owner "c[*,*]" : c.e.q[11] = 0.0
            eq owner "c[*,*]" : c.e.q[17] = 0.0
            eq owner "c[*,*]" : c.e.q[23] = 0.0
            eq owner "c[*,*]" : c.e.q[29] = 0.0
            eq owner "c[*,*]" for i0 in 0..6 : c.n.q[i0] = 0.0
            eq owner "c[*,*]" for i0 in 24..30 : c.s.q[i0] = 0.0
            eq for i0 in 0..5, i1 in 0..5 : c.e.T[6*i0 + i1] = c.w.T[6*i0 + i1 + 1]
            eq for i0 in 0..4, i1 in 0..6 : c.s.T[6*i0 + i1] = c.n.T[6*i0 + i1 + 6]
            eq for i0 in 0..5, i1 in 0..5 : c.w.q[6*i0 + i1 + 1] + c.e.q[6*i0 + i1] = 0.0
            eq for i0 in 0..24 : c.n.q[i0 + 6] + c.s.q[i0] = 0.0
        "#]],
    );
}

/// What drops across a part is an unknown of its own where it is used more than once.
#[test]
fn drops() {
    network(
        "twin L { ports { p: Pin; n: Pin } variables { x: Current } outputs { v: Voltage = n.v - p.v }
           equations { x = (p.v - n.v)/1 ohm; p.v - n.v = 3 ohm*(p.i - x); p.i + n.i = 0 A } }
         twin C { twins { l: L[2]; g: G } connections { l[0].p -- g.p; l[0].n -- l[1].p } }",
        expect![[r#"
            flat C
            network

            var l[2].x : unknown
            var l[2].v : unknown declared outputs
            var l[2].p.v : unknown
            var l[2].p.i : unknown
            var l[2].n.v : unknown
            var l[2].n.i : unknown
            var g.p.v : unknown
            var g.p.i : unknown
            var `$drop`.l[2].`p.v-n.v` : unknown

            eq owner "l[*]" for i0 in 0..2 : l.v[i0] = -`$drop`.l.`p.v-n.v`[i0]
            eq owner "l[*]" for i0 in 0..2 : l.x[i0] = `$drop`.l.`p.v-n.v`[i0]
            eq owner "l[*]" for i0 in 0..2 : `$drop`.l.`p.v-n.v`[i0] = 3.0 * (l.p.i[i0] - l.x[i0])
            eq owner "l[*]" for i0 in 0..2 : l.p.i[i0] + l.n.i[i0] = 0.0
            eq owner "g" : g.p.v = 0.0
            eq owner "l[*]" : l.n.i[1] = 0.0
            eq : l.p.v[0] = g.p.v
            eq : l.n.v[0] = l.p.v[1]
            eq : l.p.i[0] + g.p.i = 0.0
            eq : l.p.i[1] + l.n.i[0] = 0.0
            eq owner "l[*]" for i0 in 0..2 : l.p.v[i0] - l.n.v[i0] = `$drop`.l.`p.v-n.v`[i0]
        "#]],
    );
}

#[test]
fn arrays_of_unlike_shape() {
    refuse(
        &format!(
            "{PARTS}twin B<n: Int = 3> {{ ports {{ at: Pin[n] }} }}
twin C<m: Int = 4> {{ twins {{ b: B; r: R[m] }} connections {{ b.at -- r.p }} }}"
        ),
        expect![[r#"
            E0706 test.twinml:6:60: ports of shape [3] and [4] joined
        "#]],
    );
}
