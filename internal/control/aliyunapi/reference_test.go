package aliyunapi

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const referenceFile = "../../../docs/reference/aliyun.md"

// TestReference holds docs/reference/aliyun.md to the dispatch table.
func TestReference(t *testing.T) {
	have := reference()
	if *update {
		if err := os.WriteFile(referenceFile, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(referenceFile)
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("docs/reference/aliyun.md is not what the table says (%v); renew it: go test ./internal/control/aliyunapi -run Reference -update", err)
	}
}

func reference() []byte {
	var b bytes.Buffer
	b.WriteString(`# The compatible API

Made from the dispatch table by ` + "`go test ./internal/control/aliyunapi -run Reference -update`" + `; do not edit. [How to point
clients at it](../how-to/aliyun-clients.md) is a page of its own.

A controller that was started with ` + "`--aliyun-listen`" + ` answers the RPC dialect of two of Alibaba Cloud's products: ` + "`Ga`" + ` of version 2019-11-20
and ` + "`Vpc`" + ` of version 2016-04-28. Names, states and codes are the vendor's, odd spellings included; what stands behind them is Causeway. Answers are JSON,
whatever Format says.

| verdict | means |
|---|---|
| supported | as with the vendor |
| differs | works; the note says how it is not the same |
| refused | answers a refusal that says why |

`)
	for _, product := range []string{productGa, productVpc} {
		counts := map[verdict]int{}
		for _, a := range table[product] {
			counts[a.verdict]++
		}
		fmt.Fprintf(&b, "## %s\n\n%d actions: %d supported, %d differ, %d refused.\n\n", product, len(table[product]), counts[supported], counts[differs], counts[refused])
		b.WriteString("| action | verdict | how, or why |\n|---|---|---|\n")
		for _, a := range table[product] {
			note := a.note
			switch a.origin {
			case later:
				note = strings.TrimSuffix("not in the SDK v1: by CommonRequest, or by newer clients; "+note, "; ")
			case ours:
				note = "ours: by CommonRequest; " + note
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.name, a.verdict, note)
		}
		b.WriteByte('\n')
	}
	b.WriteString(`## How requests are judged

- Signatures: version 1.0 with HMAC-SHA1 or HMAC-SHA256, and ACS3-HMAC-SHA256. A timestamp may be 15 minutes off; a nonce is good once, at each
  controller. Security tokens (STS) are refused.
- Access keys are those of the native API, with the same roles: readers look, operators change, and keys of tunnels are shown to operators and admins only.
- ClientToken is an idempotency token for 24 hours, also while the accelerator is being configured. DryRun answers ` + "`DryRunOperation`" + ` when all is well.
- A change locks its accelerator until the PoPs have said that they run it: other writes get ` + "`StateError.Accelerator`" + `, or the code of what in particular is not ready.
  A PoP that has been away for 30 seconds no longer holds the lock; the state stays configuring until it is back.
- A region may have the tag ` + "`aliyun-region`" + ` with the vendor's name for it (` + "`ap-northeast-2`" + `); requests may then use that name, and answers do.
- HTTPS and HTTP come in on the same port. HTTP is taken from the controller's own machine, and from others with ` + "`--aliyun-allow-http`" + `.

## Codes

Every one of these is provoked through the API by a test. Codes of resources that are not there have the HTTP status 404, the others 400.

`)
	codes := map[string]bool{}
	for name := range errorTable {
		code, _, _ := strings.Cut(name, " ")
		codes[code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "`%s`, ", code)
	}
	b.Truncate(b.Len() - 2)
	b.WriteString(".\n\nOf requests that are not let in: ")
	codes = map[string]bool{}
	for _, c := range rpcNegatives {
		codes[c.code] = true
	}
	for _, c := range acs3Negatives {
		codes[c.code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "`%s`, ", code)
	}
	b.Truncate(b.Len() - 2)
	b.WriteString(".\n")
	return b.Bytes()
}

// TestTheTableIsWellMade: each action once, with a reason where it differs.
func TestTheTableIsWellMade(t *testing.T) {
	for product, list := range table {
		seen := map[string]bool{}
		for _, a := range list {
			if seen[a.name] || a.name == "" || a.do == nil || a.verdict == "" {
				t.Errorf("%s has %q twice, or not whole", product, a.name)
			}
			if a.verdict != supported && a.note == "" {
				t.Errorf("%s %s: %s, and nobody says how or why", product, a.name, a.verdict)
			}
			reads := strings.HasPrefix(a.name, "Describe") || strings.HasPrefix(a.name, "List") || strings.HasPrefix(a.name, "Get")
			if reads && a.writes {
				t.Errorf("%s %s reads and writes", product, a.name)
			}
			seen[a.name] = true
		}
	}
	n := 0
	for _, a := range table[productGa] {
		if a.origin == fromSDK {
			n++
		}
	}
	if n != 55 {
		t.Errorf("%d actions of the SDK's 55", n)
	}
}
