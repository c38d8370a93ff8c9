package service

import (
	"reflect"
	"slices"
	"testing"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

// methods are those of the service that take a Call: everybody may reach them.
func methods() []string {
	var names []string
	for m := range reflect.TypeFor[*Service]().Methods() {
		for in := range m.Type.Ins() {
			if in == reflect.TypeFor[Call]() {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func TestEveryMethodIsInTheTableOfPermissions(t *testing.T) {
	list := methods()
	if len(list) < 40 {
		t.Fatalf("only %d methods take a Call; this test looks at the wrong thing", len(list))
	}
	for _, name := range list {
		if _, known := auth.Table[name]; !known {
			t.Errorf("Service.%s is not in auth.Table: say there which role it needs", name)
		}
	}
	for name := range auth.Table {
		if !slices.Contains(list, name) {
			t.Errorf("auth.Table speaks of %s, which is no method of the service", name)
		}
	}
}

// TestTheServiceAsksForPermission calls every method with too small a role, by
// reflection, so that a method that forgets to ask is found.
func TestTheServiceAsksForPermission(t *testing.T) {
	b := newBench(t)
	for _, name := range methods() {
		need := auth.Table[name]
		if need == auth.Anyone {
			continue
		}
		for _, role := range []resource.Role{"", resource.Reader, resource.Operator, resource.Admin, auth.Agent} {
			code := callWith(t, b.Service, name, Call{Caller: auth.Caller{Name: "x", Role: role, PoP: "x"}})
			denied := code == resource.CodeDenied || code == resource.CodeUnauthenticated && role == ""
			if denied == auth.Includes(role, need) {
				t.Errorf("%s as %q: the answer is %q, and the table says that it needs %s", name, role, code, need)
			}
		}
	}
}

// callWith calls a method with a Call and otherwise with zero values.
func callWith(t *testing.T, s *Service, name string, call Call) resource.Code {
	t.Helper()
	m := reflect.ValueOf(s).MethodByName(name)
	var args []reflect.Value
	for in := range m.Type().Ins() {
		switch in {
		case reflect.TypeFor[Call]():
			args = append(args, reflect.ValueOf(call))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	if name == "Watch" { // would go on for ever
		over, cancel := cancelled()
		defer cancel()
		args[0] = reflect.ValueOf(over)
	} else {
		args[0] = reflect.ValueOf(ctx)
	}
	out := m.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return resource.CodeOf(err)
}

func TestApplyNeedsWhatItsObjectsNeed(t *testing.T) {
	b := newBench(t)
	r, a := region("kr-seoul"), resource.Accelerator{Meta: resource.Meta{Name: "a"}}
	for _, c := range []struct {
		call   Call
		object resource.Object
		denied bool
	}{{reader, &a, true}, {operator, &r, true}, {operator, &a, false}, {admin, &r, false}} {
		_, err := b.Apply(ctx, c.call, []resource.Object{c.object}, nil)
		if (resource.CodeOf(err) == resource.CodeDenied) != c.denied {
			t.Errorf("%s applies a %s: %v", c.call.Caller.Role, c.object.Kind(), err)
		}
	}
	if _, err := b.Apply(ctx, operator, nil, []resource.Ref{{Kind: resource.KindRegion, Name: "kr-seoul"}}); resource.CodeOf(err) != resource.CodeDenied {
		t.Errorf("an operator deletes a region by applying: %v", err)
	}
}

func TestKeysOpenWithTheirSecretOnly(t *testing.T) {
	b := newBench(t)
	made := must(b.CreateAccessKey(ctx, admin, resource.AccessKey{AccessKeySpec: resource.AccessKeySpec{Role: resource.Operator}}))(t)
	caller, secret, err := b.Identify(ctx, made.Resource.ID)
	if err != nil || string(secret) != made.Secret || caller.Role != resource.Operator || len(secret) != 40 {
		t.Fatalf("the key is known as %+v with a secret of %d characters, %v", caller, len(secret), err)
	}
	if shown := must(b.GetAccessKey(ctx, admin, made.Resource.ID))(t); shown.Sealed != nil {
		t.Error("reading a key shows its sealed secret")
	}
	items, _, err := b.store.List(ctx, everything, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if containsSecret(item.Value, made.Secret) {
			t.Errorf("the secret stands in the store under %s", item.Key)
		}
	}
	off := false
	must(b.UpdateAccessKey(ctx, admin, made.Resource.ID, func(k *resource.AccessKey) error { k.Enabled = &off; return nil }))(t)
	if _, _, err := b.Identify(ctx, made.Resource.ID); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("a key that is switched off: %v", err)
	}
	must(b.DeleteAccessKey(ctx, admin, made.Resource.ID))(t)
	if _, _, err := b.Identify(ctx, made.Resource.ID); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("a deleted key: %v", err)
	}
}

func TestTheLastAdminKeyStays(t *testing.T) {
	b := newBench(t)
	key := func(name string) {
		must(b.CreateAccessKey(ctx, admin, resource.AccessKey{Meta: resource.Meta{Name: name}, AccessKeySpec: resource.AccessKeySpec{Role: resource.Admin}}))(t)
	}
	key("one")
	_, err := b.DeleteAccessKey(ctx, admin, "one")
	wantCode(t, err, resource.CodeLastAdmin)
	_, err = b.UpdateAccessKey(ctx, admin, "one", func(k *resource.AccessKey) error { k.Role = resource.Reader; return nil })
	wantCode(t, err, resource.CodeLastAdmin)
	key("two")
	must(b.DeleteAccessKey(ctx, admin, "one"))(t)
}

func TestAnEnrolmentTokenWorksOnce(t *testing.T) {
	b := newBench(t)
	must(b.CreateRegion(ctx, admin, region("kr-seoul")))(t)
	must(b.CreatePoP(ctx, admin, pop("sel", "kr-seoul", "", "198.51.100.1:4600")))(t)
	token := must(b.CreateToken(ctx, admin, resource.Token{TokenSpec: resource.TokenSpec{PoP: "sel"}}))(t)
	late := must(b.CreateToken(ctx, admin, resource.Token{TokenSpec: resource.TokenSpec{PoP: "sel"}}))(t)
	show := func(secret string) Enrolment {
		return Enrolment{Secret: secret, PublicKey: testKeys[1], Certificate: "ab", NotAfter: b.now.Add(3 * day)}
	}
	_, err := b.Enrol(ctx, Call{}, show(token.Secret+"x"))
	wantCode(t, err, resource.CodeTokenInvalid)
	p := must(b.Enrol(ctx, Call{}, show(token.Secret)))(t)
	if p.PublicKey != testKeys[1] || p.Enrolment.Certificate != "ab" {
		t.Errorf("the PoP is %+v", p)
	}
	_, err = b.Enrol(ctx, Call{}, show(token.Secret))
	wantCode(t, err, resource.CodeTokenInvalid)
	if err := b.CertificateGood(ctx, "sel", "ab"); err != nil {
		t.Error(err)
	}
	if err := b.CertificateGood(ctx, "sel", "cd"); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("another certificate: %v", err)
	}
	must(b.RenewPoP(ctx, Call{Caller: auth.ForAgent("sel")}, "cd", b.now.Add(6*day)))(t)
	if err := b.CertificateGood(ctx, "sel", "cd"); err != nil {
		t.Error(err)
	}
	must(b.RevokePoP(ctx, admin, "sel"))(t)
	if err := b.CertificateGood(ctx, "sel", "cd"); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("a revoked certificate: %v", err)
	}
	b.now = b.now.Add(resource.DefaultTokenTTL)
	_, err = b.Enrol(ctx, Call{}, show(late.Secret))
	wantCode(t, err, resource.CodeTokenInvalid)
	if k := must(b.GetToken(ctx, admin, late.Resource.Name))(t); k.Status.State != resource.Expired || k.Hash != nil {
		t.Errorf("the token is shown as %+v", k)
	}
	must(b.DeletePoP(ctx, admin, "sel"))(t)
	if left := must(b.ListTokens(ctx, admin, Query{}))(t); left.Total != 0 {
		t.Errorf("%d tokens of a deleted PoP are left", left.Total)
	}
}
