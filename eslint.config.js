import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/alpine.js", "**/fflate.js", "**/idb-keyval.js"] }, // not ours
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, globals: globals.browser },
    rules: { eqeqeq: "error", "max-len": ["error", { code: 160 }], "no-var": "error", "prefer-const": "error" },
  },
];
