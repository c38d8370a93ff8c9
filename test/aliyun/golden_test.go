package aliyun

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ga"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/vpc"
)

// actions are what a client of the SDK can call: methods that take a request.
func actions(client any) map[string]reflect.Method {
	all := map[string]reflect.Method{}
	typ := reflect.TypeOf(client)
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if m.Type.NumIn() == 2 && m.Type.NumOut() == 2 && strings.HasSuffix(m.Type.In(1).String(), "."+m.Name+"Request") {
			all[m.Name] = m
		}
	}
	return all
}

// TestEveryActionOfTheSDKIsKnown calls all of the SDK's Ga actions, and those of
// Vpc that are about IPsec, without parameters: each must say something about
// its parameters, not that it does not exist.
func TestEveryActionOfTheSDKIsKnown(t *testing.T) {
	c := gaClient(t, "HTTP", access.id, access.secret)
	known := actions(c)
	if len(known) != 55 {
		t.Errorf("the SDK has %d Ga actions, 55 were expected", len(known))
	}
	for name := range known {
		if code := callPlain(t, c, "Ga", "2019-11-20", name); code == "InvalidAction.NotFound" || code == "InternalError" || code == "NotASentence" {
			t.Errorf("Ga %s: %s", name, code)
		}
	}
	for name := range actions(&vpc.Client{}) {
		about := strings.Contains(name, "Vpn") || strings.Contains(name, "CustomerGateway")
		if !about || strings.Contains(name, "Attachment") || strings.Contains(name, "VpnLogs") || strings.Contains(name, "Ssl") {
			continue
		}
		if code := callPlain(t, c, "Vpc", "2016-04-28", name); code == "InvalidAction.NotFound" || code == "InternalError" {
			t.Errorf("Vpc %s: %s", name, code)
		}
	}
}

func callPlain(t *testing.T, c *ga.Client, product, version, action string) string {
	t.Helper()
	r := requests.NewCommonRequest()
	r.Method, r.Product, r.Version, r.ApiName, r.Domain, r.Scheme = "POST", product, version, action, endpoint, "HTTP"
	r.QueryParams["DryRun"] = "true"
	_, err := c.ProcessCommonRequest(r)
	if refusal, ok := err.(*errors.ServerError); ok {
		return refusal.ErrorCode()
	}
	if err != nil {
		t.Errorf("%s: %v", action, err)
	}
	return ""
}

// TestGoldenAnswersFitTheSDKsStructs reads the answers that the product's own
// tests hold it to: with the SDK's decoder, which bends types, and with the
// standard library's, which does not.
func TestGoldenAnswersFitTheSDKsStructs(t *testing.T) {
	files, err := filepath.Glob("../../internal/control/aliyunapi/testdata/golden/*.json")
	if err != nil || len(files) < 90 {
		t.Fatalf("%d golden answers (%v)", len(files), err)
	}
	known := actions(&ga.Client{})
	for name, m := range actions(&vpc.Client{}) {
		if _, both := known[name]; !both {
			known[name] = m
		}
	}
	read := 0
	for _, file := range files {
		m, in := known[strings.TrimSuffix(filepath.Base(file), ".json")]
		if !in {
			continue // an action that this SDK does not have
		}
		read++
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		strict := reflect.New(m.Type.Out(0).Elem()).Interface()
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(strict); err != nil {
			t.Errorf("%s, read strictly: %v", m.Name, err)
		}
		bent, _ := reflect.New(m.Type.Out(0).Elem()).Interface().(responses.AcsResponse)
		field := reflect.ValueOf(bent).Elem().FieldByName("BaseResponse")
		field.Set(reflect.ValueOf(&responses.BaseResponse{}))
		if err := json.Unmarshal(text, bent); err != nil {
			t.Errorf("%s, as the SDK reads it: %v", m.Name, err)
		}
		if id := reflect.ValueOf(strict).Elem().FieldByName("RequestId"); id.IsValid() && id.String() == "" {
			t.Errorf("%s has no RequestId", m.Name)
		}
		complete(t, m.Name, reflect.TypeOf(strict).Elem(), text)
	}
	if read < 80 {
		t.Errorf("only %d answers have a struct", read)
	}
}

// complete checks that an answer has every field of the SDK's struct, so that
// none is silently empty at the client.
func complete(t *testing.T, action string, typ reflect.Type, text []byte) {
	t.Helper()
	var have map[string]json.RawMessage
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if _, has := have[name]; name != "" && !has {
			t.Errorf("%s does not answer %s", action, name)
		}
	}
}
