package docs

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The table and the chart of what redundancy costs are made of what the bench of
// loss repair wrote into benchmarks.md. They may lag behind a newer run by a
// tenth; then they are renewed with: go test ./docs -run CostOf -update
func TestCostOfRedundancyIsTheBenchs(t *testing.T) {
	bench := repairBench(t)
	table := costTable(t, bench)
	page, err := os.ReadFile("explanation/cost-of-redundancy.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)(<!-- cost:begin -->\n).*?(<!-- cost:end -->)")
	if *update {
		fresh := block.ReplaceAll(page, []byte("${1}"+table+"${2}"))
		if err := os.WriteFile("explanation/cost-of-redundancy.md", fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("images/cost-of-redundancy.svg", []byte(costChart(t, bench)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	shown := numbers(string(block.Find(page)))
	want := numbers(table)
	if len(shown) != len(want) {
		t.Fatalf("the table has %d numbers, the bench's would have %d; renew it: go test ./docs -run CostOf -update", len(shown), len(want))
	}
	for i := range want {
		if math.Abs(shown[i]-want[i]) > max(0.02, want[i]/10) {
			t.Errorf("the table has %v where the bench says %v; renew it and see whether the words around still hold: go test ./docs -run CostOf -update", shown[i], want[i])
		}
	}
	chart, err := os.ReadFile("images/cost-of-redundancy.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, loss := range lossRates {
		if !strings.Contains(string(chart), fmt.Sprintf(">%g %%<", loss)) {
			t.Errorf("the chart does not show a loss of %g %%; renew it: go test ./docs -run CostOf -update", loss)
		}
	}
}

// numbers are a text's figures of what is sent, in order: those with two decimals.
func numbers(text string) (out []float64) {
	for _, s := range regexp.MustCompile(`\d+\.\d\d\b`).FindAllString(text, -1) {
		n, err := strconv.ParseFloat(s, 64)
		if err == nil {
			out = append(out, n)
		}
	}
	return out
}

// measured is what one scheme did in one cell of the bench.
type measured struct{ lost, packets float64 }

// repairBench reads the tables of the bench, by cell and scheme.
func repairBench(t *testing.T) map[string]measured {
	t.Helper()
	page, err := os.ReadFile("benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]measured{}
	cell := ""
	for _, line := range strings.Split(string(page), "\n") {
		columns := strings.Split(line, "|")
		if len(columns) < 10 {
			continue
		}
		if c := strings.TrimSpace(columns[1]); c != "" {
			cell = c
		}
		lost, packets := numberAt(columns[3]), numberAt(columns[4])
		if !math.IsNaN(lost) && !math.IsNaN(packets) {
			out[cell+"/"+strings.Trim(columns[2], " *")] = measured{lost, packets}
		}
	}
	return out
}

// numberAt is the number that a cell begins with.
func numberAt(cell string) float64 {
	words := strings.Fields(cell)
	if len(words) == 0 {
		return math.NaN()
	}
	n, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

// lossRates are the cells of dense traffic, in percent.
var lossRates = []float64{1, 5, 20, 50}

// schemes are what one could do instead, and what the page calls it.
var schemes = []struct{ name, title string }{
	{"causeway", "Causeway"}, {"copies2", "everything twice"}, {"rs20+10", "blocks of 20 with 10 repairs"}, {"arq", "only what is asked for"},
}

func pick(t *testing.T, bench map[string]measured, cell, scheme string) measured {
	t.Helper()
	m, ok := bench[cell+"/"+scheme]
	if !ok {
		t.Fatalf("benchmarks.md has no figure for %s in the cell %q; this test must be told what it is called now", scheme, cell)
	}
	return m
}

// costTable is the page's tables.
func costTable(t *testing.T, bench map[string]measured) string {
	var b strings.Builder
	b.WriteString("| lost on the wire | least there can be |")
	for _, s := range schemes {
		b.WriteString(" " + s.title + " |")
	}
	b.WriteString("\n|--:|--:|--:|--:|--:|--:|\n")
	for _, loss := range lossRates {
		fmt.Fprintf(&b, "| %g %% | %.2f |", loss, 1/(1-loss/100))
		for _, s := range schemes {
			m := pick(t, bench, fmt.Sprintf("%g %%, RTT+50", loss), s.name)
			fmt.Fprintf(&b, " %.2f, %s |", m.packets, left(m.lost))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| what is sent | sent per packet | lost |\n|---|--:|--:|\n")
	for _, row := range []struct{ title, cell string }{
		{"a ping a second, 5 % lost", "ping 1/s, 5 %"},
		{"a ping a second, 20 % lost", "ping 1/s, 20 %"},
		{"a ping a second, 50 % lost", "ping 1/s, 50 %"},
		{"dense, 20 % lost in spells of 20 ms, one wire", "20 % in 20 ms, 1 wire, 2RTT+20"},
		{"the same on two wires", "20 % in 20 ms, 2 wires, 2RTT+20"},
		{"dense, 20 % lost, mode `latency`", "20 %, latency, RTT+50"},
		{"dense, 20 % lost, mode `economy`", "20 %, economy, 2RTT+20"},
	} {
		m := pick(t, bench, row.cell, "causeway")
		fmt.Fprintf(&b, "| %s | %.2f | %s |\n", row.title, m.packets, left(m.lost))
	}
	return b.String()
}

// left says what stayed lost.
func left(share float64) string {
	switch {
	case share == 0:
		return "none"
	case share < 0.0005:
		return "next to none"
	}
	return fmt.Sprintf("%.1f %%", share*100)
}

// costChart draws packets sent per packet carried, by loss: bars, and the least as a line on each.
func costChart(t *testing.T, bench map[string]measured) string {
	const width, height, base, unit = 900, 420, 360, 88.0 // pixels; of one packet
	colors := []string{"#0b7f86", "#94a3b8", "#c9b458", "#b07aa1"}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="system-ui,sans-serif" font-size="13">`+"\n", width, height)
	b.WriteString("<title>Packets sent for each packet carried, by what the wire loses</title>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for n := 0; n <= 3; n++ {
		y := base - float64(n)*unit
		fmt.Fprintf(&b, `<line x1="50" x2="%d" y1="%g" y2="%g" stroke="#dfe3e8"/><text x="40" y="%g" text-anchor="end" fill="#5b6673">%d</text>`+"\n", width-20, y, y, y+4, n)
	}
	for i, loss := range lossRates {
		x := 70 + float64(i)*205
		for j, s := range schemes {
			m := pick(t, bench, fmt.Sprintf("%g %%, RTT+50", loss), s.name)
			h := m.packets * unit
			fmt.Fprintf(&b, `<rect x="%g" y="%.1f" width="40" height="%.1f" fill="%s"><title>%s: %.2f sent, %s lost</title></rect>`, x+float64(j)*44, base-h, h, colors[j], s.title, m.packets, left(m.lost))
			if m.lost >= 0.0005 {
				fmt.Fprintf(&b, `<text x="%g" y="%.1f" text-anchor="middle" font-size="10" fill="#a02c2c">−%.1f %%</text>`, x+float64(j)*44+20, base-h-4, m.lost*100)
			}
			b.WriteString("\n")
		}
		least := base - unit/(1-loss/100)
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#16202c" stroke-width="2" stroke-dasharray="5 3"/>`+"\n", x-6, x+178, least, least)
		fmt.Fprintf(&b, `<text x="%g" y="%d" text-anchor="middle" fill="#16202c">%g %%</text>`+"\n", x+86, base+20, loss)
	}
	for j, s := range schemes {
		x := []float64{70, 170, 320, 530}[j]
		fmt.Fprintf(&b, `<rect x="%g" y="395" width="12" height="12" fill="%s"/><text x="%g" y="405" fill="#16202c">%s</text>`+"\n", x, colors[j], x+17, s.title)
	}
	fmt.Fprintf(&b, `<line x1="700" x2="724" y1="401" y2="401" stroke="#16202c" stroke-width="2" stroke-dasharray="5 3"/><text x="730" y="405" fill="#16202c">least there can be</text>`+"\n")
	b.WriteString(`<text x="50" y="28" fill="#16202c" font-size="15" font-weight="600">Packets sent for each packet carried; above a bar, in red, what stays lost all the same</text>` + "\n</svg>\n")
	return b.String()
}
