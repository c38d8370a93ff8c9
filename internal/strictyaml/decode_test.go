package strictyaml

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/problem"
)

// sample has a field of each sort that snapshots and scenarios use.
type sample struct {
	Name    string            `yaml:"name"`
	Label   uint16            `yaml:"label"`
	Offset  int8              `json:"offset"`
	Cap     float64           `yaml:"cap,omitempty"`
	On      bool              `yaml:"on"`
	Idle    time.Duration     `yaml:"idle_timeout"`
	Bind    netip.AddrPort    `yaml:"bind"`
	Address netip.Addr        `yaml:"address"`
	Allow   []netip.Prefix    `yaml:"allow"`
	Ports   []uint16          `yaml:"ports"`
	Weight  *int              `yaml:"weight"`
	Via     [][]string        `yaml:"via"`
	Inner   inner             `yaml:"inner"`
	List    []inner           `yaml:"list"`
	Tags    map[string]inner  `yaml:"tags"`
	Labels  map[string]string `yaml:"labels"`
	Pair    [2]int            `yaml:"pair"`
	Any     any               `yaml:"any"`
	Secret  string            `yaml:"-"`
	Plain   string
	common  `yaml:",inline"`
}

type inner struct {
	Kind mode `yaml:"kind"`
	Next *inner
}

type common struct {
	Seed uint64 `yaml:"seed"`
}

type mode string

func TestDecodeReads(t *testing.T) {
	seven := 7
	for _, c := range []struct {
		name, text string
		want       sample
	}{
		{"block style", "name: seoul\nlabel: 2\nports: [500, 4500]\n", sample{Name: "seoul", Label: 2, Ports: []uint16{500, 4500}}},
		{"JSON", `{"name": "seoul", "label": 2, "ports": [500, 4500], "on": true}`, sample{Name: "seoul", Label: 2, Ports: []uint16{500, 4500}, On: true}},
		{"JSON indented with tabs", "{\n\t\"name\": \"seoul\",\n\t\"inner\": {\n\t\t\"kind\": \"off\"\n\t}\n}\n", sample{Name: "seoul", Inner: inner{Kind: "off"}}},
		{"JSON escapes", `{"name": "a\/b\u00e9\n", "labels": {"k\"": "\\"}}`, sample{Name: "a/bé\n", Labels: map[string]string{`k"`: `\`}}},
		{"durations with a unit", "idle_timeout: 300s", sample{Idle: 300 * time.Second}},
		{"a quoted duration", `idle_timeout: "1h30m"`, sample{Idle: 90 * time.Minute}},
		{"a zero duration needs no unit", "idle_timeout: 0", sample{}},
		{"IPv4 addresses and ports", "bind: 203.0.113.20:4600\naddress: 203.0.113.20", sample{Bind: netip.MustParseAddrPort("203.0.113.20:4600"), Address: netip.MustParseAddr("203.0.113.20")}},
		{"IPv6 addresses and ports", "bind: '[2001:db8::1]:4600'\naddress: 2001:db8::1", sample{Bind: netip.MustParseAddrPort("[2001:db8::1]:4600"), Address: netip.MustParseAddr("2001:db8::1")}},
		{"prefixes", "allow:\n  - 10.0.0.0/8\n  - 2001:db8::/32\n", sample{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}},
		{"a pointer that is set", "weight: 7", sample{Weight: &seven}},
		{"a pointer that is null", "weight: null", sample{}},
		{"a list with nothing after it", "ports:\nname: x", sample{Name: "x"}},
		{"lists of lists, empty ones too", "via: [[], [tokyo], [tokyo, osaka]]", sample{Via: [][]string{{}, {"tokyo"}, {"tokyo", "osaka"}}}},
		{"a list of structs", "list:\n  - kind: a\n  - kind: b\n", sample{List: []inner{{Kind: "a"}, {Kind: "b"}}}},
		{"a list of structs at the key's own indent", "list:\n- kind: a\n- kind: b\n", sample{List: []inner{{Kind: "a"}, {Kind: "b"}}}},
		{"a map of structs", "tags:\n  x: {kind: a}\n", sample{Tags: map[string]inner{"x": {Kind: "a"}}}},
		{"a struct that points to its own type", "inner:\n  next:\n    kind: deep\n", sample{Inner: inner{Next: &inner{Kind: "deep"}}}},
		{"an array", "pair: [1, -2]", sample{Pair: [2]int{1, -2}}},
		{"inlined fields", "seed: 18446744073709551615", sample{common: common{Seed: 1<<64 - 1}}},
		{"a field without a tag", "plain: x", sample{Plain: "x"}},
		{"off, yes and no are text", "inner: {kind: off}\nname: yes\nplain: no", sample{Inner: inner{Kind: "off"}, Name: "yes", Plain: "no"}},
		{"numbers in quotes are text", "name: \"12\"\nplain: '3.5'", sample{Name: "12", Plain: "3.5"}},
		{"a block of text", "name: |\n  one\n  two\n", sample{Name: "one\ntwo\n"}},
		{"anchors and aliases", "inner: &i {kind: a}\nlist: [*i, *i]", sample{Inner: inner{Kind: "a"}, List: []inner{{Kind: "a"}, {Kind: "a"}}}},
		{"comments everywhere", "# head\nname: x # tail\n# between\nlist:\n  # before an item\n  - kind: a # after\n# end\n", sample{Name: "x", List: []inner{{Kind: "a"}}}},
		{"a document marker", "---\nname: x\n...\n", sample{Name: "x"}},
		{"Windows line ends", "name: x\r\nlabel: 3\r\n", sample{Name: "x", Label: 3}},
		{"a byte order mark", "\xef\xbb\xbfname: x\n", sample{Name: "x"}},
		{"anything at all", "any: {a: [1, 2.5, true, null, x]}", sample{Any: map[string]any{"a": []any{int64(1), 2.5, true, nil, "x"}}}},
		{"an exponent", "cap: 1e2", sample{Cap: 100}},
		{"a text that begins like a number", "name: 203.0.113.1", sample{Name: "203.0.113.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got sample
			if err := Decode("f.yaml", []byte(c.text), &got); err != nil {
				t.Fatalf("refused:\n%v", err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Each case gives the first line of what the user is told.
func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field, and says which one was meant", "name: x\nprots: [500]\n", `f.yaml:2:1: prots: found "the unknown field prots"; allowed: name, label, offset, cap, on, idle_timeout, bind, address, allow, ports, weight, via, inner, list, tags, labels, pair, any, plain, seed; did you mean ports?`},
		{"camel case for underscores", "idleTimeout: 3s", `f.yaml:1:1: idleTimeout: found "the unknown field idleTimeout"; allowed: name, label, offset, cap, on, idle_timeout, bind, address, allow, ports, weight, via, inner, list, tags, labels, pair, any, plain, seed; did you mean idle_timeout?`},
		{"a field files may not set", "Secret: x", `f.yaml:1:1: Secret: found "the unknown field Secret"; allowed: name, label, offset, cap, on, idle_timeout, bind, address, allow, ports, weight, via, inner, list, tags, labels, pair, any, plain, seed`},
		{"an unknown field deep inside", "list:\n  - kind: a\n  - kin: b\n", `f.yaml:3:5: list[1].kin: found "the unknown field kin"; allowed: kind, next; did you mean kind?`},
		{"a repeated field", "name: x\nlabel: 1\nname: y\n", `f.yaml:3:1: name: found "name"; allowed: each field once; it stands in line 1 already; remove one of the two`},
		{"a repeated field in JSON", `{"name": "x", "name": "y"}`, `f.yaml:1:15: name: found "name"; allowed: each field once; it stands in line 1 already; remove one of the two`},
		{"a repeated key of a map", "labels: {a: b, a: c}", `f.yaml:1:16: labels.a: found "a"; allowed: each field once; it stands in line 1 already; remove one of the two`},
		{"text for a number", "label: two", `f.yaml:1:8: label: found "two"; allowed: a whole number from 0 to 65535`},
		{"a quoted number", `label: "2"`, `f.yaml:1:8: label: found "\"2\""; allowed: a whole number from 0 to 65535`},
		{"a number too large", "label: 65536", `f.yaml:1:8: label: found "65536"; allowed: a whole number from 0 to 65535`},
		{"a negative number where none can be", "label: -1", `f.yaml:1:8: label: found "-1"; allowed: a whole number from 0 to 65535`},
		{"a signed number too small", "offset: -129", `f.yaml:1:9: offset: found "-129"; allowed: a whole number from -128 to 127`},
		{"a fraction for a whole number", "label: 2.0", `f.yaml:1:8: label: found "2.0"; allowed: a whole number from 0 to 65535`},
		{"octal", "label: 0600", `f.yaml:1:8: label: found "0600"; allowed: a whole number from 0 to 65535`},
		{"hexadecimal", "label: 0x10", `f.yaml:1:8: label: found "0x10"; allowed: a whole number from 0 to 65535`},
		{"infinity", "cap: .inf", `f.yaml:1:6: cap: found ".inf"; allowed: a number`},
		{"a number beyond floats", "cap: 1e999", `f.yaml:1:6: cap: found "1e999"; allowed: a number`},
		{"a number for text", "name: 12", `f.yaml:1:7: name: found "12"; allowed: text; put it in quotes: "12"`},
		{"true for text", "name: true", `f.yaml:1:7: name: found "true"; allowed: text; put it in quotes: "true"`},
		{"nothing for text", "name:\nlabel: 1", `f.yaml:1:6: name: missing; allowed: text`},
		{"text for a truth", "on: yes", `f.yaml:1:5: on: found "yes"; allowed: true or false`},
		{"a time without a unit", "idle_timeout: 300", `f.yaml:1:15: idle_timeout: found "300"; allowed: a time with its unit, such as 250ms, 10s, 5m or 24h`},
		{"an address with a port missing", "bind: 203.0.113.1", `f.yaml:1:7: bind: found "203.0.113.1"; allowed: an IP address and port, such as 203.0.113.10:4600 or [2001:db8::10]:4600`},
		{"an address that is none", "address: 203.0.113.300", `f.yaml:1:10: address: found "203.0.113.300"; allowed: an IP address, such as 203.0.113.10 or 2001:db8::10`},
		{"a prefix without its length", "allow: [10.0.0.0]", `f.yaml:1:9: allow[0]: found "10.0.0.0"; allowed: an IP prefix, such as 203.0.113.0/24 or 2001:db8::/48`},
		{"one value where a list belongs", "ports: 500", `f.yaml:1:8: ports: found "500"; allowed: a list; write it as a list: [500]`},
		{"fields where a list belongs", "ports: {a: b}", `f.yaml:1:9: ports: found "1 fields"; allowed: a list`},
		{"a list where fields belong", "inner: [a]", `f.yaml:1:8: inner: found "a list of 1"; allowed: fields: kind, next`},
		{"a list where a number belongs", "label: [1]", `f.yaml:1:8: label: found "a list of 1"; allowed: a whole number from 0 to 65535`},
		{"a wrong item of a list", "ports: [500, x]", `f.yaml:1:14: ports[1]: found "x"; allowed: a whole number from 0 to 65535`},
		{"an array of the wrong length", "pair: [1]", `f.yaml:1:7: pair: found "a list of 1"; allowed: a list of exactly 2`},
		{"an empty file", "", `f.yaml:1:1: found "an empty file"; allowed: one YAML or JSON document`},
		{"a file of comments", "# nothing\n", `f.yaml:1:1: found "an empty file"; allowed: one YAML or JSON document`},
		{"two documents", "name: x\n---\nname: y\n", `f.yaml:3:5: found "a second document after ---; one file holds one document"; allowed: one YAML or JSON document`},
		{"an alias to nothing", "inner: *i", `f.yaml:1:8: found "the alias *i, but no anchor &i before it"; allowed: one YAML or JSON document`},
		{"an anchor inside itself", "any: &a [*a]", `f.yaml:1:10: found "the alias *a, but no anchor &a before it"; allowed: one YAML or JSON document`},
		{"a merge key", "inner: &i {kind: a}\ntags:\n  x:\n    <<: *i\n", `f.yaml:4:5: found "a merge key <<; write the fields out"; allowed: one YAML or JSON document`},
		{"a tag", "name: !!str 12", `f.yaml:1:7: found "the tag !!str; tags are not used here"; allowed: one YAML or JSON document`},
		{"a file that is only text", "hello", `f.yaml:1:1: found "hello"; allowed: fields: name, label, offset, cap, on, idle_timeout, bind, address, allow, ports, weight, via, inner, list, tags, labels, pair, any, plain, seed`},
		{"bytes that are not text", "name: \xff", `f.yaml:1:1: found "bytes that are not UTF-8"; allowed: UTF-8 text`},
		{"a NUL byte", "name: \x00", `f.yaml:1:7: found "a NUL byte"; allowed: UTF-8 text`},
		{"brackets without end", strings.Repeat("[", 100000), `f.yaml:1:401: found "deep nesting"; allowed: at most 100 levels`},
		{"dashes without end", strings.Repeat("- ", 100000), `f.yaml:1:201: found "deep nesting"; allowed: at most 100 levels`},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := sample{Name: "as it was", Ports: []uint16{1}}
			got := before
			err := Decode("f.yaml", []byte(c.text), &got)
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if first, _, _ := strings.Cut(err.Error(), "\n"); first != c.want {
				t.Errorf("got  %s\nwant %s", first, c.want)
			}
			if !reflect.DeepEqual(got, before) {
				t.Errorf("the value was changed to %+v", got)
			}
		})
	}
}

func TestDecodeShowsEveryMistakeWithItsLine(t *testing.T) {
	err := Decode("seoul.yaml", []byte("name: seoul\nlabel: two\nlist:\n\t\n"), new(sample))
	if err == nil {
		t.Fatal("a tab as indentation was taken")
	}
	err = Decode("seoul.yaml", []byte("name: seoul\nlabel: two\nlist:\n  - {kind: a, knd: b}\nports: [500, 70000]\n"), new(sample))
	want := `seoul.yaml:2:8: label: found "two"; allowed: a whole number from 0 to 65535
     2 | label: two
       |        ^^^
seoul.yaml:4:15: list[0].knd: found "the unknown field knd"; allowed: kind, next; did you mean kind?
     4 |   - {kind: a, knd: b}
       |               ^^^
seoul.yaml:5:14: ports[1]: found "70000"; allowed: a whole number from 0 to 65535
     5 | ports: [500, 70000]
       |              ^^^^^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestDecodeKeepsDefaultsThatTheFileDoesNotMention(t *testing.T) {
	got := sample{Cap: 3, Inner: inner{Kind: "preset"}}
	if err := Decode("f", []byte("name: x\ninner: {next: {}}"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Cap != 3 || got.Inner.Kind != "preset" || got.Name != "x" {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeBoundsAliases(t *testing.T) {
	// Ten aliases of ten aliases of …: 10^9 values in 300 bytes.
	var b strings.Builder
	b.WriteString("any: \n  - &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 8 {
		from, to := string(rune('0'+i)), string(rune('1'+i))
		b.WriteString("  - &a" + to + " [" + strings.TrimSuffix(strings.Repeat("*a"+from+", ", 10), ", ") + "]\n")
	}
	err := Decode("f", []byte(b.String()), new(sample))
	if err == nil || !strings.Contains(err.Error(), "at most 1000000 values") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeWantsAPointer(t *testing.T) {
	for _, into := range []any{nil, sample{}, (*sample)(nil)} {
		if err := Decode("f", []byte("name: x"), into); err == nil {
			t.Errorf("Decode into %#v succeeded", into)
		}
	}
}

func TestManyProblemsAreCutShort(t *testing.T) {
	err := Decode("f", []byte("ports: ["+strings.TrimSuffix(strings.Repeat("x, ", 100), ", ")+"]"), new(sample))
	if err == nil || !strings.HasSuffix(err.Error(), "… and 80 more problems in f") {
		t.Errorf("got %v", err)
	}
	if n := len(err.(*Error).List()); n != 100 {
		t.Errorf("List has %d problems, want 100", n)
	}
}

func TestLocate(t *testing.T) {
	const text = `name: seoul
listeners:
  - name: vpn
    ports: [500, 4500]
    via: {"a.b": 1}
  - name: web
peers:
`
	for _, c := range []struct{ name, path, want string }{
		{"a value", "listeners[0].ports[1]", "4:18"},
		{"a field that holds a list", "listeners[0].ports", "4:5"},
		{"an item of a list", "listeners[1]", "6:5"},
		{"a field that is missing points to what should have it", "listeners[1].ports", "6:5"},
		{"a name in quotes", `listeners[0].via["a.b"]`, "5:18"},
		{"an index past the end points to the list", "listeners[7].ports", "2:1"},
		{"a field with no value", "peers", "7:1"},
		{"a field nobody wrote points to the top", "routes[0]", "1:1"},
		{"no path points to the top", "", "1:1"},
		{"a path that makes no sense points as near as it can", "listeners[x]..[", "2:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Locate("f.yaml", []byte(text), problem.List{problem.New(c.path, "this", "that")})
			if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:"+c.want+": ") {
				t.Errorf("got %v, want it at %s", err, c.want)
			}
		})
	}
	if err := Locate("f.yaml", []byte(text), nil); err != nil {
		t.Errorf("no problems, but %v", err)
	}
	err := Locate("f.yaml", []byte("{"), problem.List{problem.New("a", 1, "2")})
	if err == nil || err.Error() != `f.yaml: a: found "1"; allowed: 2` {
		t.Errorf("in a file that does not parse: %v", err)
	}
}

func TestLongLinesAreCutAroundTheMistake(t *testing.T) {
	text := `{"labels": {"k": "` + strings.Repeat("x", 5000) + `"}, "label": "wrong", "plain": "` + strings.Repeat("y", 5000) + `"}`
	err := Decode("f.json", []byte(text), new(sample))
	if err == nil {
		t.Fatal("taken")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || len(lines[1]) > 140 {
		t.Fatalf("got\n%v", err)
	}
	caret := strings.Index(lines[2], "^")
	if !strings.HasPrefix(lines[1][caret:], `"wrong"`) {
		t.Errorf("the caret is off:\n%s\n%s", lines[1], lines[2])
	}
}
