package service

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// withKeys is b's store under a controller with other seal keys.
func (b *bench) withKeys(keys ...byte) *bench {
	b.t.Helper()
	all := make([][]byte, len(keys))
	for i, k := range keys {
		all[i] = bytes.Repeat([]byte{k}, auth.SealKeySize)
	}
	sealer, err := auth.NewSealer(all[0], all[1:]...)
	if err != nil {
		b.t.Fatal(err)
	}
	other := *b
	other.Service = New(b.store, sealer, Options{Now: b.Service.now, Resolver: b.resolver})
	return &other
}

func (b *bench) psk(name string) vpn.Secret {
	b.t.Helper()
	o := must(b.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: name}))(b.t)
	return o.(*resource.IPsecConnection).Tunnels[0].Auth.PSK
}

func TestTheSealKeyIsChangedAndNoTunnelNotices(t *testing.T) {
	old := newBench(t).vpn().withKeys(0) // newBench seals with this one
	const canary = "canary-of-the-seal-key"
	must(old.UpdateCustomerGateway(ctx, operator, "office", func(g *resource.CustomerGateway) error { g.AuthKey = canary; return nil }))(t)
	key := must(old.CreateAccessKey(ctx, admin, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: resource.Reader}}))(t)
	repeated := Call{Caller: auth.Local, Token: "made-before"}
	made := must(old.CreateAccessKey(ctx, repeated, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: resource.Reader}}))(t)
	for i := range resealAtOnce { // more than one transaction's share
		must(old.CreateAccessKey(ctx, admin, resource.AccessKey{Meta: resource.Meta{Name: fmt.Sprint("key-", i)}, AccessKeySpec: resource.AccessKeySpec{Role: resource.Reader}}))(t)
	}
	old.enrolGateway()
	secret, told := old.psk("direct"), old.told("direct")

	both := old.withKeys(9, 0)
	repeats := func(b *bench, when string) {
		t.Helper()
		if again := must(b.CreateAccessKey(ctx, repeated, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: resource.Reader}}))(t); !reflect.DeepEqual(again, made) {
			t.Errorf("%s, a repeated request is answered otherwise", when)
		}
	}
	opens := func(b *bench, when string) {
		t.Helper()
		if b.psk("direct") != secret || !reflect.DeepEqual(b.told("direct"), told) {
			t.Errorf("%s, the connection's key is another", when)
		}
		if _, have, err := b.Identify(ctx, key.Resource.ID); err != nil || string(have) != key.Secret {
			t.Errorf("%s, the access key does not open: %v", when, err)
		}
	}
	repeats(both, "with both keys")
	opens(both, "with both keys")
	_, err := both.Reseal(ctx, operator)
	wantCode(t, err, resource.CodeDenied)
	const things = 2 + resealAtOnce + 2 // access keys, the gateway, the connection
	if done := must(both.Reseal(ctx, admin))(t); done.Resealed != things || done.Kept != 0 || len(done.Lost) != 0 {
		t.Errorf("%+v, want %d resealed", done, things)
	}
	opens(both, "resealed, with both keys")
	repeats(both, "resealed, with both keys")
	if done := must(both.Reseal(ctx, admin))(t); done.Resealed != 0 || done.Kept != things || len(done.Lost) != 0 {
		t.Errorf("repeated: %+v, want %d kept", done, things)
	}
	opens(old.withKeys(9), "with the new key alone")

	former := old.withKeys(0)
	if _, err := former.RevealSecrets(ctx, operator, resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}); err == nil {
		t.Error("the former key still opens the connection")
	}
	items, _, err := old.store.List(ctx, store.Range{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if bytes.Contains(item.Value, []byte("canary")) || bytes.Contains(item.Value, []byte(secret)) {
			t.Errorf("%s has a secret in clear", item.Key)
		}
	}
}

func TestWhatNoKeyOpensStaysAsItIs(t *testing.T) {
	old := newBench(t).vpn()
	secret := old.psk("direct")
	strange := old.withKeys(9)
	connection := resource.Ref{Kind: resource.KindIPsecConnection, Name: "direct"}
	if done := must(strange.Reseal(ctx, admin))(t); done.Resealed != 0 || len(done.Lost) != 1 || done.Lost[0] != connection {
		t.Errorf("%+v, want %v lost", done, connection)
	}
	if old.psk("direct") != secret {
		t.Error("the secret is another")
	}
}
