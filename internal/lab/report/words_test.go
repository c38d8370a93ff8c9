package report

import "testing"

func TestNumbersAreWrittenForReaders(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{percent(0), "0 %"},
		{percent(1), "100 %"},
		{percent(0.503), "50.3 %"},
		{percent(0.0042), "0.42 %"},
		{percent(1.0 / 17280), "0.006 %"}, // one ping of a 48-hour table's is not nothing
		{percent(1e-7), "1e-05 %"},
		{percent(17279.0 / 17280), "99.994 %"}, // and one answered is not "all lost"
		{millis(0), "0"},
		{millis(0.004), "<0.01"},
		{millis(0.42), "0.42"},
		{millis(9.999), "10.0"},
		{millis(62.14), "62.1"},
		{millis(1042.4), "1042"},
		{millisOf(nil), "–"},
		{rate(0), "0"},
		{rate(0.06), "0.06"},
		{rate(41.84), "41.8"},
		{rate(941.2), "941"},
		{times(0.06, 41.8), "×697"},
		{times(50, 100), "×2.0"},
		{times(100, 50), "×0.5"},
		{times(0, 50), ""},
		{times(0.0001, 50), "×500,000"},
		{count(1234), "1234"},
		{count(17280), "17,280"},
		{count(uint64(1234567)), "1,234,567"},
		{span(0), "0 s"},
		{span(2.5), "2.5 s"},
		{span(120), "2 min"},
		{span(17280), "4 h 48 min"},
		{span(172800), "2 d"},
		{interval(200), "200 ms"},
		{interval(1000), "1 s"},
		{mtrLoss(0), "0.0%"},
		{mtrLoss(1.0 / 17280), "<0.1%"},
		{timeLabel(90e3, 30e3), "1:30 min"},
		{timeLabel(5400e3, 1800e3), "1:30 h"},
		{percent(lossUpper95(600)), "0.50 %"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestPlainTakesEscapesAndLineBreaksAway(t *testing.T) {
	if got := plain("a\x1b[31mb\nc\u009bd\x00"); got != "a[31mb cd" {
		t.Errorf("got %q", got)
	}
}

func TestAgainNeverOffersACommandThatAShellReadsDifferently(t *testing.T) {
	d := sample(10, 100)
	if got, want := again(d), "causeway lab run seoul-shanghai --seed 1 --duration 1s --interval 100ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"", "a b", "$(id)", "x;y", "a\nb"} {
		d.Scenario = name
		if got := again(d); got != "" {
			t.Errorf("scenario %q: %q", name, got)
		}
	}
}
