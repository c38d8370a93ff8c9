package service

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// looks are the looks at secrets that stand in the log, the newest first.
func (b *bench) looks() []AuditEntry {
	b.t.Helper()
	page := must(b.ListAudit(ctx, reader, AuditQuery{Limit: 1000}))(b.t)
	return slices.DeleteFunc(page.Entries, func(e AuditEntry) bool { return len(e.Changes) != 1 || e.Changes[0].Action != Revealed })
}

func TestEveryLookAtSecretsStandsInTheAuditLog(t *testing.T) {
	b := newBench(t).vpn()
	const canary = "canary-of-the-audit-log"
	must(b.UpdateIPsecConnection(ctx, operator, "direct", func(c *resource.IPsecConnection) error { c.Tunnels[0].Auth.PSK = canary; return nil }))(t)
	must(b.UpdateCustomerGateway(ctx, operator, "office", func(g *resource.CustomerGateway) error { g.AuthKey = canary; return nil }))(t)
	who := operator
	who.Caller.From = netip.MustParseAddr("192.0.2.44")
	connection, gateway := resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}, resource.Ref{Kind: resource.KindCustomerGateway, Name: "office"}
	for _, c := range []struct {
		name   string
		do     func() error
		leaves string // method, resource, fields
	}{
		{"the key of a connection", func() error { _, err := b.RevealSecrets(ctx, who, connection); return err }, "RevealSecrets ipsec-connection/direct tunnels[0].auth.psk"},
		{"the key of a customer gateway", func() error { _, err := b.RevealSecrets(ctx, who, gateway); return err }, "RevealSecrets customer-gateway/office auth_key"},
		{"a configuration with secrets", func() error {
			_, err := b.GetVPNConfig(ctx, who, "direct", VPNConfigRequest{Device: "strongswan", Reveal: true})
			return err
		}, "GetVPNConfig ipsec-connection/direct tunnels[0].auth.psk"},
		{"a configuration with masks", func() error {
			_, err := b.GetVPNConfig(ctx, who, "direct", VPNConfigRequest{Device: "strongswan"})
			return err
		}, ""},
		{"the connection with masks", func() error { _, err := b.GetIPsecConnection(ctx, who, "direct"); return err }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.now = b.now.Add(time.Hour)
			before := len(b.looks())
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			looks := b.looks()
			if c.leaves == "" {
				if len(looks) != before {
					t.Errorf("an entry was left: %+v", looks[0])
				}
				return
			}
			if len(looks) != before+1 {
				t.Fatalf("%d entries were left, want 1", len(looks)-before)
			}
			e := looks[0]
			left := e.Method + " " + string(e.Changes[0].Kind) + "/" + e.Changes[0].Name + " " + strings.Join(e.Changes[0].Fields, ",")
			if left != c.leaves || e.Caller != "op" || e.Role != resource.Operator || e.From != "192.0.2.44" || !e.At.Equal(b.now) {
				t.Errorf("the entry is %+v", e)
			}
		})
	}
	items, _, err := b.store.List(ctx, store.Range{Prefix: audits}, 0)
	if err != nil || len(items) == 0 {
		t.Fatalf("%d entries, %v", len(items), err)
	}
	for _, item := range items {
		if bytes.Contains(item.Value, []byte("canary")) {
			t.Errorf("the log has the secret: %s", item.Value)
		}
	}
}

func TestARefusedLookLeavesNothing(t *testing.T) {
	b := newBench(t).vpn()
	_, err := b.RevealSecrets(ctx, reader, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"})
	wantCode(t, err, resource.CodeDenied)
	_, err = b.GetVPNConfig(ctx, reader, "direct", VPNConfigRequest{Device: "strongswan", Reveal: true})
	wantCode(t, err, resource.CodeDenied)
	if looks := b.looks(); len(looks) != 0 {
		t.Errorf("entries were left: %+v", looks)
	}
}

func TestWhoPollsLeavesOneEntryAMinuteAndNobodyHidesBehindThem(t *testing.T) {
	b := newBench(t).vpn()
	ref := resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}
	look := func(call Call) {
		b.now = b.now.Add(time.Second)
		must(b.RevealSecrets(ctx, call, ref))(t)
	}
	for range 50 {
		look(operator)
	}
	if n := len(b.looks()); n != 1 {
		t.Errorf("50 looks in 50 s left %d entries, want 1", n)
	}
	other, elsewhere := operator, operator
	other.Caller.Name = "op2"
	elsewhere.Caller.From = netip.MustParseAddr("192.0.2.45")
	look(other)
	look(elsewhere)
	if n := len(b.looks()); n != 3 {
		t.Errorf("another caller, and another address, left %d entries, want 3 in all", n)
	}
	must(b.UpdateIPsecConnection(ctx, operator, "direct", func(c *resource.IPsecConnection) error {
		c.Tunnels[0].Auth.PSK = vpn.Secret("another-key-altogether")
		return nil
	}))(t)
	look(operator)
	if n := len(b.looks()); n != 4 {
		t.Errorf("a look at the new key left %d entries, want 4 in all", n)
	}
	b.now = b.now.Add(time.Minute)
	look(operator)
	if n := len(b.looks()); n != 5 {
		t.Errorf("a look a minute later left %d entries, want 5 in all", n)
	}
}

// readOnly is a store that takes nothing any more.
type readOnly struct{ store.Store }

func (readOnly) Commit(context.Context, store.Txn) (int64, error) { return 0, store.ErrFull }

func TestWhatCannotBeNotedIsNotShown(t *testing.T) {
	b := newBench(t).vpn()
	b.store = readOnly{b.store}
	o, err := b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"})
	if wantCode(t, err, resource.CodeUnavailable); o != nil {
		t.Errorf("%v was shown", o)
	}
	c, err := b.GetVPNConfig(ctx, operator, "direct", VPNConfigRequest{Device: "strongswan", Reveal: true})
	if wantCode(t, err, resource.CodeUnavailable); len(c.Files) != 0 {
		t.Errorf("%v was shown", c)
	}
	wantCode(t, b.NoteBackup(ctx, admin), resource.CodeUnavailable)
}

func TestABackupStandsInTheAuditLog(t *testing.T) {
	b := newBench(t)
	wantCode(t, b.NoteBackup(ctx, operator), resource.CodeDenied)
	call := Call{Caller: auth.Caller{Name: "ad", Role: resource.Admin, From: netip.MustParseAddr("2001:db8::1")}}
	if err := b.NoteBackup(ctx, call); err != nil {
		t.Fatal(err)
	}
	page := must(b.ListAudit(ctx, reader, AuditQuery{}))(t)
	if len(page.Entries) != 1 || page.Entries[0].Method != "Backup" || page.Entries[0].Caller != "ad" || page.Entries[0].From != "2001:db8::1" {
		t.Errorf("%+v", page.Entries)
	}
}
