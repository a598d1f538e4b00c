//  eslint.config.js - what the page's source must keep to
//
//  SPDX-License-Identifier: BSD-3-Clause

const browser = ["IntersectionObserver", "Intl", "MutationObserver", "Path2D",
                 "ResizeObserver", "URL", "URLSearchParams",
                 "clearTimeout", "document", "fetch", "getComputedStyle",
                 "history", "location", "matchMedia", "navigator", "performance",
                 "setInterval", "setTimeout", "window"];
const node = ["Buffer", "URL", "console", "fetch", "process", "setTimeout"];
const globals = (names) => Object.fromEntries (names.map ((name) => [name, "readonly"]));

const rules = {
    "no-undef": "error", "no-unused-vars": "error", "no-shadow": "error",
    "no-redeclare": "error", "no-unreachable": "error", "no-fallthrough": "error",
    "no-dupe-keys": "error", "no-const-assign": "error", "no-self-assign": "error",
    "no-implicit-globals": "error", "no-eval": "error", "no-implied-eval": "error",
    "no-var": "error", "no-use-before-define": ["error", {functions: false}],
    "no-unused-expressions": ["error", {allowShortCircuit: true}],
    "prefer-const": "error", "eqeqeq": "error", "require-atomic-updates": "error",
    "consistent-return": "error", "max-depth": ["error", 3], "complexity": ["error", 14],
    "max-lines-per-function": ["error", 60],
    //  Text nodes only, for what came from outside
    "no-restricted-properties": ["error",
        {object: "document", property: "write"},
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map (
            (property) => ({property}))]
};

export default [
    {files: ["contrib/server/page/*.js"], rules: {...rules, "max-lines": ["error", 200]},
     languageOptions: {globals: globals (browser)}},
    {files: ["test/page/*.js"], rules: {...rules, "max-lines": ["error", 300]},
     languageOptions: {globals: globals ([...node, ...browser])}}
];
