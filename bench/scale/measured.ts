/** What is handed over to be kept and drawn: the part of a result that the measurement itself knows. */
export interface Measured {
  /** Names its files. Lower case, digits, hyphens. */
  readonly slug: string;
  readonly title: string;
  /** Of every value in `series`. */
  readonly unit: string;
  readonly series: readonly Series[];
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly plots?: readonly Plot[];
  /** Counts, which have no spread. */
  readonly tables?: readonly Table[];
}

export interface Series {
  readonly name: string;
  /** Raw, in the order they were measured. */
  readonly values: readonly number[];
  readonly note?: string;
  /** Where this series stands on the x axis of a `lines` plot, and to which line it belongs. */
  readonly at?: { readonly line: string; readonly x: number };
}

interface Plot {
  readonly kind: 'strip' | 'ecdf' | 'lines';
  readonly axis: 'log' | 'linear';
  readonly only?: readonly string[];
  readonly xLabel?: string;
  readonly slug?: string;
  readonly caption?: string;
}

interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}
