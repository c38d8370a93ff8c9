package api

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "causeway/api/gen/causeway/v1"
	"causeway/internal/strictyaml"
)

// The OpenAPI description is of the same proto as the code: it has every method
// and every field of every message, and no further method.
func TestTheOpenAPIDescriptionIsFresh(t *testing.T) {
	const file = "openapi/causeway.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		OpenAPI    string         `yaml:"openapi"`
		Info       map[string]any `yaml:"info"`
		Paths      map[string]any `yaml:"paths"`
		Tags       []any          `yaml:"tags"`
		Security   []any          `yaml:"security"`
		Components struct {
			Schemas map[string]map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := strictyaml.Decode(file, text, &description); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(description.OpenAPI, "3.1") {
		t.Errorf("it is OpenAPI %s", description.OpenAPI)
	}
	methods := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("causeway.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for k := range s.Methods().Len() {
				m := s.Methods().Get(k)
				methods++
				if path := "/" + string(s.FullName()) + "/" + string(m.Name()); description.Paths[path] == nil {
					t.Errorf("%s has no %s; run scripts/generate.sh", file, path)
				}
			}
		}
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			if m.Oneofs().Len() > 0 && !m.Oneofs().Get(0).IsSynthetic() {
				continue // described as a choice
			}
			schema, ok := description.Components.Schemas[string(m.FullName())]
			if !ok {
				if m.FullName() != "causeway.v1.Error" { // a detail of errors, which no method mentions
					t.Errorf("%s has no schema %s; run scripts/generate.sh", file, m.FullName())
				}
				continue
			}
			properties, _ := schema["properties"].(map[string]any)
			for k := range m.Fields().Len() {
				if name := m.Fields().Get(k).JSONName(); properties[name] == nil {
					t.Errorf("schema %s of %s has no %s; run scripts/generate.sh", m.FullName(), file, name)
				}
			}
		}
		return true
	})
	if len(description.Paths) != methods {
		t.Errorf("%s has %d paths, the API %d methods; run scripts/generate.sh", file, len(description.Paths), methods)
	}
}
