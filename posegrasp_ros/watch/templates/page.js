// SPDX-License-Identifier: Apache-2.0
// What both pages write.
'use strict';

const byId = (name) => document.getElementById(name);

function badge(text, kind) {
  byId('state').textContent = text;
  byId('state').className = `badge ${kind}`;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// Names and values of what is shown now.
function tellFacts(facts) {
  byId('now').replaceChildren(...facts.map(([name, value]) => {
    const pair = document.createElement('div');
    pair.append(element('dt', name), element('dd', value));
    return pair;
  }));
}
