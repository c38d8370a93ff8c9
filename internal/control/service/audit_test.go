package service

import (
	"strings"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

func TestEveryChangeStandsInTheAuditLogAndNoRefusalDoes(t *testing.T) {
	f := newBench(t)
	as := func(token string) Call { // a second later each
		f.now = f.now.Add(time.Second)
		return Call{Caller: auth.Local, Token: token}
	}
	region := resource.Region{Meta: resource.Meta{Name: "kr-audit"}}
	if _, err := f.CreateRegion(ctx, as("one"), region); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateRegion(ctx, as("two"), region); err == nil {
		t.Fatal("a second region of the name was made")
	}
	dry := as("three")
	dry.DryRun = true
	if _, err := f.DeleteRegion(ctx, dry, "kr-audit"); err != nil {
		t.Fatal(err)
	}
	retitle := func(r *resource.Region) error { r.Title = "Seoul"; return nil }
	if _, err := f.UpdateRegion(ctx, as("four"), "kr-audit", retitle); err != nil {
		t.Fatal(err)
	}
	if _, err := f.UpdateRegion(ctx, as("five"), "kr-audit", retitle); err != nil { // changes nothing
		t.Fatal(err)
	}
	if _, err := f.DeleteRegion(ctx, as("six"), "kr-audit"); err != nil {
		t.Fatal(err)
	}
	q := AuditQuery{Kind: resource.KindRegion, Name: "kr-audit", Limit: 2}
	var told []string
	for {
		page, err := f.ListAudit(ctx, as(""), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Caller == "" || e.Role == "" || e.At.IsZero() || e.Token == "" {
				t.Errorf("%+v", e)
			}
			told = append(told, e.Method+" "+e.Changes[0].Action+" "+strings.Join(e.Changes[0].Fields, ","))
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	want := "DeleteRegion delete |UpdateRegion update title|CreateRegion create "
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("have %q\nwant %q", got, want)
	}
	if page, err := f.ListAudit(ctx, as(""), AuditQuery{Caller: "somebody-else"}); err != nil || len(page.Entries) != 0 {
		t.Errorf("%v, %v", page, err)
	}
	if _, err := f.ListAudit(ctx, Call{}, AuditQuery{}); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("nobody got %v", err)
	}
}
