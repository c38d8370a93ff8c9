package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/resource"
)

// maxAuditPage is how many entries the API gives at once.
const maxAuditPage = 1000

// auditEntry is one entry as -o json prints it.
type auditEntry struct {
	At      string        `json:"at"`
	Caller  string        `json:"caller"`
	Role    string        `json:"role"`
	From    string        `json:"from,omitempty"`
	Method  string        `json:"method"`
	Request string        `json:"request_id,omitempty"`
	Changes []auditChange `json:"changes"`
}

type auditChange struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Action string   `json:"action"`
	Fields []string `json:"fields,omitempty"`
}

func auditCommand() *cobra.Command {
	r, q := &remote{}, &v1.ListAuditRequest{}
	c := &cobra.Command{
		Use: "audit", Short: "Show who changed what, and who was shown secrets", Args: exactly(0, "no arguments"),
		Long: `Shows the audit log, the newest first: every change, every time that secrets were
shown, and every backup: when, by whom, from which address, and what. Fields are
named, and their values never told.`,
		Example: "  causeway audit\n  causeway audit --kind ipsec-connection --name office\n  causeway audit --limit 1000 -o json | jq '.[] | select(.changes[].action == \"reveal\")'",
	}
	f := c.Flags()
	f.StringVar(&q.Kind, "kind", "", "only what happened to this kind of resource")
	f.StringVar(&q.Name, "name", "", "only what happened to resources of this name")
	f.StringVar(&q.Caller, "caller", "", "only what this caller did: an access key's ID")
	limit := f.Int("limit", 50, "how many entries to show at most")
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	kinds := make([]string, len(nouns))
	for i, n := range nouns {
		kinds[i] = string(n.kind)
	}
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kinds, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *limit < 1 {
			return Misuse("--limit is %d", *limit).WithFix("give 1 or more")
		}
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			entries, err := readAudit(ctx, client, q, *limit)
			if err != nil {
				return err
			}
			if output.Is("json") {
				return PrintJSON(c.OutOrStdout(), entries)
			}
			return auditTable(entries).Write(c.OutOrStdout(), Colour(c.OutOrStdout()))
		})
	}
	return c
}

// readAudit reads the newest entries, page by page.
func readAudit(ctx context.Context, client *apiclient.Client, q *v1.ListAuditRequest, limit int) ([]auditEntry, error) {
	entries := []auditEntry{}
	for len(entries) < limit {
		q.PageSize = int32(min(limit-len(entries), maxAuditPage))
		answer, err := client.Call(ctx, "AuditService", "ListAudit", q)
		if err != nil {
			return nil, err
		}
		page := answer.(*v1.ListAuditResponse)
		for _, m := range page.GetEntries() {
			e := auditEntry{At: m.GetAt().AsTime().Format("2006-01-02T15:04:05.000Z"), Caller: m.GetCaller(), Role: m.GetRole(), From: m.GetFrom(),
				Method: m.GetMethod(), Request: m.GetRequestId(), Changes: []auditChange{}}
			for _, c := range m.GetChanges() {
				e.Changes = append(e.Changes, auditChange{c.GetKind(), c.GetName(), c.GetAction(), c.GetFields()})
			}
			entries = append(entries, e)
		}
		if q.PageToken = page.GetNextPageToken(); q.PageToken == "" {
			break
		}
	}
	return entries, nil
}

func auditTable(entries []auditEntry) *Table {
	t := NewTable("AT", "CALLER", "ROLE", "FROM", "METHOD", "ON")
	for _, e := range entries {
		var on []string
		style := Plain
		for _, c := range e.Changes {
			said := c.Action + " " + resource.Ref{Kind: resource.Kind(c.Kind), Name: c.Name}.String()
			if len(c.Fields) > 0 {
				said += " (" + strings.Join(c.Fields, ", ") + ")"
			}
			if on = append(on, said); c.Action == "reveal" {
				style = Warn
			}
		}
		t.Row(Cell{e.At, Faint}, e.Caller, e.Role, e.From, e.Method, Cell{strings.Join(on, "; "), style})
	}
	return t
}
