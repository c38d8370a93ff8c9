package problem

import "testing"

func TestAProblemIsOneLine(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Problem
		want string
	}{
		{"what was found and what is allowed", New("ports[0]", 0, "1 to 65535"), `ports[0]: found "0"; allowed: 1 to 65535`},
		{"what is missing", Problem{Path: "name", Allowed: "a name"}, `name: missing; allowed: a name`},
		{"with a remedy", New("format", 2, "1").WithFix("write: format: %d", 1), `format: found "2"; allowed: 1; write: format: 1`},
		{"under a field", New("ports[0]", 0, "").Under("listeners[2]"), `listeners[2].ports[0]: found "0"`},
		{"an item under its list", New("[0]", 0, "").Under("ports"), `ports[0]: found "0"`},
		{"the thing itself under a field", New("", 0, "").Under("ports"), `ports: found "0"`},
	} {
		if got := c.p.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAnEmptyListIsNoError(t *testing.T) {
	if err := (List{}).Err(); err != nil {
		t.Errorf("got %v", err)
	}
	err := List{New("a", 1, "2"), New("b", 3, "4")}.Err()
	if err == nil || err.Error() != "a: found \"1\"; allowed: 2\nb: found \"3\"; allowed: 4" {
		t.Errorf("got %v", err)
	}
}
