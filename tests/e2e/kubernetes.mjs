// SPDX-License-Identifier: MIT
// Holds objects of Kubernetes against its schemas: node kubernetes.mjs PACKAGES < OBJECTS, a JSON list. Prints what is wrong.
import path from "node:path";
import { readFileSync } from "node:fs";

const folders = { "monitoring.coreos.com": "@kubernetes-models/prometheus-operator" };
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const folder = folders[object.apiVersion.split("/")[0]] ?? "kubernetes-models";
  const file = path.join(process.argv[2], folder, object.apiVersion, `${object.kind}.js`);
  const { [object.kind]: Model } = await import(file);
  try {
    new Model(object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata?.name}: ${error.message}`);
  }
}
